import { Fragment } from 'preact';
import { pieces } from './links.ts';

/** A name or a line that a user wrote, inside a sentence of ours: its direction is its own. */
export const UserName = ({ children }: { children: string }) => <bdi>{children}</bdi>;

/** What a user wrote, with links to follow. They open in a new tab that cannot reach this one. */
export const LinkedText = ({ text }: { text: string }) => (
  <>
    {pieces(text).map((piece, index) =>
      piece.kind === 'text' ? (
        piece.text
      ) : (
        <Fragment key={index}>
          <a href={piece.href} target="_blank" rel="noopener noreferrer" title={piece.href} dir="auto">
            {piece.text}
          </a>
          {piece.realHost && <bdi class="muted"> ({piece.realHost})</bdi>}
        </Fragment>
      ),
    )}
  </>
);
