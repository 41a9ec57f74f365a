/** A daily window in minutes since midnight, UTC. Where the end is below the start, it wraps midnight. */
export interface TimeWindow {
  readonly startMinute: number;
  /** The first minute that is outside. */
  readonly endMinute: number;
}

const clock = /^(\d{1,2}):(\d{2})$/;

/** Parses `HH:MM-HH:MM` (24-hour clock; the hour may have one digit; blanks around the parts are allowed), or null. */
export function parseTimeWindow(text: string): TimeWindow | null {
  const parts = text.split('-').map((part) => minuteOfDay(part.trim()));
  const [startMinute = null, endMinute = null] = parts;
  if (parts.length !== 2 || startMinute === null || endMinute === null || startMinute === endMinute)
    return null;
  return { startMinute, endMinute };
}

function minuteOfDay(text: string): number | null {
  const match = clock.exec(text);
  const [hour, minute] = [Number(match?.[1]), Number(match?.[2])];
  return match !== null && hour <= 23 && minute <= 59 ? hour * 60 + minute : null;
}

/** Whether a moment lies in the window. */
export function isInWindow({ startMinute, endMinute }: TimeWindow, moment: Date): boolean {
  const minute = moment.getUTCHours() * 60 + moment.getUTCMinutes();
  const isWrapped = endMinute < startMinute;
  return isWrapped
    ? minute >= startMinute || minute < endMinute
    : minute >= startMinute && minute < endMinute;
}
