export { byteSize } from '#lib/byte-text';
