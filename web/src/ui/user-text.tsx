import { Fragment } from 'preact';
import { pieces } from './links.ts';

/** A name or text of a user within a sentence, with its own text direction. */
export const UserName = ({ children }: { children: string }) => <bdi>{children}</bdi>;

/** A text of a user with links. They open in a new tab that cannot access this one. */
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
