import { useEffect, useRef, useState } from 'preact/hooks';
import type { Attachment } from '../../../client/src/index.ts';
import { keepFocus } from './dialog.tsx';
import { BackIcon, CloseIcon, DownIcon, ForwardIcon } from './icons.tsx';
import { Spinner } from './small.tsx';

/**
 * A modal dialog that shows a picture as large as possible. The arrow keys show the previous and the next picture, and Escape closes the
 * dialog. Afterwards, the focus returns to the previous element.
 */
export function PictureViewer({
  pictures,
  start,
  load,
  onSave,
  onClose,
}: {
  pictures: readonly Attachment[];
  /** ID of the picture that is shown first. */
  start: string;
  load: (picture: Attachment) => Promise<string>;
  onSave: (picture: Attachment) => void;
  onClose: () => void;
}) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [id, setId] = useState(start);
  const [shown, setShown] = useState<{ readonly id: string; readonly url: string | undefined }>();
  const index = pictures.findIndex(({ file_id }) => file_id === id);
  const picture = pictures[index];
  const [before, after] = [pictures[index - 1], pictures[index + 1]];
  useEffect(() => {
    const focused = document.activeElement;
    dialog.current?.showModal();
    return () => {
      if (focused instanceof HTMLElement && focused.isConnected) focused.focus();
    };
  }, []);
  useEffect(() => {
    if (!picture) return;
    let wanted = true;
    load(picture).then(
      (url) => wanted && setShown({ id, url }),
      () => wanted && setShown({ id, url: undefined }),
    );
    return () => {
      wanted = false;
    };
  }, [id, load]);
  if (!picture) return null;
  const { name } = picture;
  const current = shown?.id === id ? shown : undefined;
  const turnTo = (other: Attachment | undefined): void => {
    if (other) setId(other.file_id);
  };
  return (
    <dialog
      ref={dialog}
      class="viewer"
      aria-label={`Picture ${name}`}
      onClose={onClose}
      onClick={({ target, currentTarget }) => {
        if (target === currentTarget || (target instanceof HTMLElement && target.matches('.viewer-stage'))) onClose();
      }}
      onKeyDown={(event) => {
        keepFocus(event);
        if (event.key === 'ArrowLeft') turnTo(before);
        if (event.key === 'ArrowRight') turnTo(after);
      }}
    >
      <header class="viewer-bar">
        <h2 class="grow ellipsis" title={name} dir="auto">
          {name}
        </h2>
        <button type="button" class="button small" onClick={() => onSave(picture)}>
          <DownIcon />
          Download
        </button>
        <button type="button" class="button quiet square" aria-label="Close" title="Close" onClick={onClose}>
          <CloseIcon />
        </button>
      </header>
      <div class="viewer-stage">
        {!current && <Spinner label="Loading the picture" />}
        {current &&
          (current.url ? (
            <img src={current.url} alt={name} onError={() => setShown({ id, url: undefined })} />
          ) : (
            <p role="alert">The picture cannot be shown.</p>
          ))}
      </div>
      {pictures.length > 1 && (
        <footer class="viewer-bar">
          <button
            type="button"
            class="button quiet square"
            aria-label="Previous picture"
            aria-disabled={!before}
            onClick={() => turnTo(before)}
          >
            <BackIcon />
          </button>
          <p class="grow small" role="status">
            Picture {index + 1} of {pictures.length}
          </p>
          <button
            type="button"
            class="button quiet square"
            aria-label="Next picture"
            aria-disabled={!after}
            onClick={() => turnTo(after)}
          >
            <ForwardIcon />
          </button>
        </footer>
      )}
    </dialog>
  );
}
