import { driverContract } from 'zot-ts/driver-contract';
import { MemoryDriver } from './memory-driver.ts';

// Run it with: node --test memory-driver.test.ts
driverContract('example', async () => {
  const driver = new MemoryDriver();
  return { driver, close: () => driver.close() };
});
