import { driverContract } from '../driver-contract.suite.ts';
import { MemoryDriver } from './memory.ts';

driverContract('memory', async () => {
  const driver = new MemoryDriver();
  return { driver, close: () => driver.close() };
});
