import type { ComponentChildren } from 'preact';

/** A decorative icon. Its meaning is in the adjacent text or in the label of its button. */
const Icon = ({ children }: { children: ComponentChildren }) => (
  <svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
    {children}
  </svg>
);

export const BackIcon = () => (
  <Icon>
    <path d="M15 5l-7 7 7 7" />
  </Icon>
);
export const ForwardIcon = () => (
  <Icon>
    <path d="M9 5l7 7-7 7" />
  </Icon>
);
export const PlusIcon = () => (
  <Icon>
    <path d="M12 5v14M5 12h14" />
  </Icon>
);
export const CloseIcon = () => (
  <Icon>
    <path d="M6 6l12 12M18 6L6 18" />
  </Icon>
);
export const MoreIcon = () => (
  <Icon>
    <path d="M5 12h.01M12 12h.01M19 12h.01" class="dots" />
  </Icon>
);
export const PeopleIcon = () => (
  <Icon>
    <circle cx="9" cy="8" r="3.25" />
    <path d="M3 19c.4-3.4 2.8-5 6-5s5.6 1.6 6 5M16 5.200a3.25 3.25 0 0 1 0 5.600M17.5 14.300c2 .6 3.2 2.2 3.5 4.7" />
  </Icon>
);
export const AttachIcon = () => (
  <Icon>
    <path d="M19 11.500l-7.3 7.300a4.6 4.6 0 0 1-6.5-6.500l7.7-7.700a3.1 3.1 0 0 1 4.4 4.400l-7.5 7.500a1.5 1.5 0 0 1-2.2-2.200l6.8-6.8" />
  </Icon>
);
export const SendIcon = () => (
  <Icon>
    <path d="M12 19V5M5.5 11.500L12 5l6.5 6.5" />
  </Icon>
);
export const FileIcon = () => (
  <Icon>
    <path d="M7 3.500h6.500L18 8v12.500H7zM13.5 3.500V8H18" />
  </Icon>
);
export const DownIcon = () => (
  <Icon>
    <path d="M12 5v14M5.5 12.500L12 19l6.5-6.5" />
  </Icon>
);
export const ClockIcon = () => (
  <Icon>
    <circle cx="12" cy="12" r="8" />
    <path d="M12 7.500V12l3 2" />
  </Icon>
);
