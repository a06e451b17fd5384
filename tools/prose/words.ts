/*
 * Words and phrases that have a better alternative. Each is a regular expression, matched case-insensitively.
 */

interface Wording {
  readonly not: RegExp;
  readonly say: string;
  /** Files in which the wording is allowed. */
  readonly except?: RegExp;
}

/** The glossary of this project. */
const GLOSSARY: readonly Wording[] = [
  { not: /\bIAMS\b/, say: 'identity provider', except: /migrate-from-ucs/ },
  { not: /\b(told|tells|telling) (all|everybody|clients|others|it)\b/, say: 'send to, deliver' },
  { not: /\bhand(s|ed)? (it |them )?on\b/, say: 'fan out' },
  { not: /\bone in a hundred\b/, say: 'p99, or 1 %' },
  { not: /\b(four fifths|nine tenths|a tenth)\b/, say: 'a percentage' },
  { not: /\bout of (time|breath)\b/, say: 'timed out' },
  { not: /\bheirs?\b/, say: 'remaining admin' },
  { not: /\b(who|whoever) (hears?|is told)\b/, say: 'receives' },
  { not: /\b(is|are|was|were) given up\b/, say: 'disconnect, drop' },
  { not: /\blet(s)? (\w+ )?hear\b/, say: 'send to' },
  { not: /\bput(s)? aside\b/, say: 'dead letter' },
  { not: /\bof (ours|yours|its own making)\b/, say: 'our, your' },
  { not: /\bas a rule\b/, say: 'usually' },
  { not: /\bat all times\b/, say: 'always' },
  { not: /\bfor good\b/, say: 'permanently' },
  { not: /\bin place of\b/, say: 'instead of' },
  { not: /\bany more\b(?! than)/, say: 'no longer' },
  { not: /\bnobody (hears|knows|can tell)\b/, say: 'name what is not received' },
  { not: /\bmeanwhile\b/, say: 'in the meantime' },
  { not: /\belsewhere than\b/, say: 'outside' },
];

/** Wordy phrases. */
const WORDINESS: readonly Wording[] = [
  { not: /\bin order to\b/, say: 'to' },
  { not: /\butili[sz]e(s|d)?\b/, say: 'use' },
  { not: /\bleverag(e|es|ed|ing)\b/, say: 'use' },
  { not: /\bdue to the fact that\b/, say: 'because' },
  { not: /\bat this point in time\b/, say: 'now' },
  { not: /\bprior to\b/, say: 'before' },
  { not: /\bin the event (that|of)\b/, say: 'if' },
  { not: /\b(it is|it's) (important|worth) (to note|noting)\b/, say: '(omit it)' },
  { not: /\bmake(s)? use of\b/, say: 'use' },
  { not: /\bwhether or not\b/, say: 'whether' },
  { not: /\b(is|are) able to\b/, say: 'can' },
  { not: /\b(simply|basically|obviously|of course)\b/, say: '(omit it)' },
  { not: /\ba (large|great) number of\b/, say: 'many' },
  { not: /\bwith regard to\b/, say: 'about' },
  { not: /\bin (the )?absence of\b/, say: 'without' },
];

/** Spelling that a dictionary accepts in both forms. */
const SPELLING: readonly Wording[] = [
  { not: /\be-mails?\b/, say: 'email' },
  { not: /\blicence\b/, say: 'license' },
  { not: /\bcancelled\b/, say: 'canceled' },
  { not: /\backnowledgement\b/, say: 'acknowledgment' },
];

export const WORDS: readonly Wording[] = [...GLOSSARY, ...WORDINESS, ...SPELLING];
