import type { ComponentChildren } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { initials } from './text.ts';

const STATUS_WORDS = { booked: 'Booked', started: 'Started', ended: 'Ended' } as const;

export const StatusBadge = ({ status }: { status: keyof typeof STATUS_WORDS }) => (
  <span class={`badge ${status}`}>{STATUS_WORDS[status]}</span>
);

/** Returns the color of a user, which is the same everywhere. */
const HUES = 8;
const hueOf = (id: string): number =>
  [...id].reduce((sum, letter) => (sum * 31 + letter.charCodeAt(0)) % 9_973, 14) % HUES;

export const Avatar = ({ id, name, online }: { id: string; name: string; online?: boolean }) => (
  <span class={`avatar hue-${hueOf(id)} ${online ? 'online' : ''}`} aria-hidden="true">
    {initials(name)}
  </span>
);

export const Spinner = ({ label }: { label: string }) => (
  <p class="loading" role="status">
    <span class="spinner" aria-hidden="true" />
    {label}
  </p>
);

/** A placeholder for empty or unavailable content. */
export const Blank = ({ title, children }: { title: string; children?: ComponentChildren }) => (
  <div class="blank">
    <h2>{title}</h2>
    {children}
  </div>
);

/** Returns the current time, updated every `everyMs` milliseconds. */
export function useNow(everyMs: number): number {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), everyMs);
    return () => clearInterval(timer);
  }, [everyMs]);
  return now;
}
