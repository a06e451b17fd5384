import { PlusIcon } from '../ui/icons.tsx';
import { userIds } from '../ui/text.ts';

/** Buttons that add user IDs to the field with the ID `input`. */
export const UserChips = ({ input, users }: { input: string; users: readonly string[] }) => (
  <div class="row wrap chips">
    {users.map((user) => (
      <button
        key={user}
        type="button"
        class="button chip small"
        aria-label={`Add ${user}`}
        onClick={() => {
          const field = document.getElementById(input);
          if (field instanceof HTMLInputElement) field.value = [...new Set([...userIds(field.value), user])].join(', ');
        }}
      >
        <PlusIcon />
        {user}
      </button>
    ))}
  </div>
);
