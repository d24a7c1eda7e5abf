const words = (text: string): ReadonlySet<string> => new Set(text.trim().split(/\s+/));

/**
 * Every wording here lets an answer be given for another question, so it stands here only if the
 * two ask the same in any sentence. What is doubtful is a miss: "resolve" is "fix" for an error and
 * not for a hostname, "turn off" is "disable" for a firewall and not for a server.
 */

/** Nothing at the beginning of a question. */
export const POLITE_BEGINNINGS = ['can you please', 'could you please', 'would you please', 'will you please', 'please', 'can you tell me', 'could you tell me', 'tell me', 'can you show me', 'could you show me', 'show me',
  'i want to know', 'i would like to know', "i 'd like to know", 'i need to know', 'i was wondering', 'i am wondering', 'just wondering', 'i have a question', 'quick question'];
/** Nothing at its end. */
export const POLITE_ENDS = ['please', 'thanks', 'thank you', 'are there'];
/** Before a mark that ends it; "Hello world" is none. */
export const GREETING = /^\s*(?:hello|hi|hey|thanks|thank you|你好|您好|谢谢|多谢)(?: there)?\s?[,.!，。！]+/iu;
/** A place that is named first: "In Okta, how do I export logs?" */
export const PLACE_FIRST = /^\s*(in|on) ([^\s,;:?!]+(?: [^\s,;:?!]+){0,2}), (how (?:do i|can i|to) [^,;:?!.]*)[?!.]?\s*$/i;

/** What a question begins with, each as one mark; `next`: only before such a word. */
export const ENGLISH_ASKS: readonly { readonly from: string; readonly to: string; readonly next?: RegExp }[] = [
  // How something is done, by anybody: what follows begins with the verb.
  ...['explain how to', 'explain to me how to', 'how do i', 'how does one', 'how can i', 'how can one', 'how to', 'what is the way to', 'what is a way to', 'what are the steps to', 'what is the process to', 'what is the procedure to', 'what do i need to do to', 'what do i have to do to',
    'is there a way to', 'is there any way to', 'steps to', 'instructions to', 'procedure to'].map((from) => ({ from, to: 'HOWTO' })),
  // A noun follows, or a verb with `-ing`.
  ...['what are the steps for', 'what is the process for', 'what is the procedure for', 'steps for', 'instructions for', 'procedure for'].map((from) => ({ from, to: 'HOWFOR' })),
  { from: 'explain how', to: 'HOW' },
  ...['what is', 'what are', 'explain what is', 'explain to me', 'explain', 'can you explain', 'could you explain'].map((from) => ({ from, to: 'WHATIS' })),
  { from: 'how many', to: 'COUNT' },
  // Of several: the number of an account is another thing.
  { from: 'what is the number of', to: 'COUNT', next: /[^su]s$/ },
  ...[['how much', 'MUCH'], ['how long', 'DURATION'], ['how often', 'FREQUENCY'], ['how old', 'AGE'], ['how far', 'DISTANCE'], ['what time', 'TIME'], ['at what time', 'TIME'], ['what date', 'DATE'], ['how come', 'WHY'], ['what is the reason for', 'REASON'], ['is it possible to', 'POSSIBLE'],
    ['am i allowed to', 'ALLOWED'], ['do i need to', 'NEED'], ['do i have to', 'HAVETO']].map(([from = '', to = '']) => ({ from, to })),
];

/** Behind HOWFOR these are what is done. */
export const DOINGS: ReadonlyMap<string, string> = new Map(
  'add change configure create delete disable enable encrypt decrypt export import install uninstall migrate remove reset restore revoke rotate update upgrade'.split(' ').map((verb) => [ingOf(verb), verb]),
);

function ingOf(verb: string): string {
  return verb === 'reset' ? 'resetting' : `${verb.replace(/e$/, '')}ing`;
}

/** Nouns that say what is done with the one word before them: "password reset". */
export const DEEDS = words('export import reset');

/** One wording for many, anywhere; words again. */
export const ENGLISH_PHRASES: readonly (readonly [from: string, to: string])[] = [
  ['set up', 'setup'], ['log in to', 'login'], ['log into', 'login'], ['sign in to', 'login'], ['sign into', 'login'], ['log in', 'login'], ['log on', 'login'], ['logon', 'login'], ['log out', 'logout'], ['log off', 'logout'], ['logoff', 'logout'],
  ['two factor authentication', '2FA'], ['multi factor authentication', 'mfa'], ['single sign on', 'sso'], ['e mail', 'email'], ['in order to', 'to'], ['as well as', 'and'],
  ['up to', 'up-to'], ['at least', 'at-least'], ['at most', 'at-most'],
];

export const CONTRACTIONS: ReadonlyMap<string, string> = new Map(
  Object.entries({
    "can't": 'can not', cannot: 'can not', "won't": 'will not', "shan't": 'will not', "ain't": 'is not', "it's": 'it is', "that's": 'that is', "there's": 'there is', "what's": 'what is', "who's": 'who is', "where's": 'where is', "when's": 'when is', "how's": 'how is', "why's": 'why is', "let's": 'let us', dont: 'do not', cant: 'can not', wont: 'will not', doesnt: 'does not', isnt: 'is not', didnt: 'did not', whats: 'what is',
  }),
);
/** Whose it is and what would be stay what they are: "which user's locked" is not "which users locked". */
export const SHORT_ENDINGS: ReadonlyMap<string, string> = new Map([["n't", 'not'], ["'s", "'s"], ["'d", "'d"], ["'re", 'are'], ["'ve", 'have'], ["'m", 'am'], ["'ll", 'will']]);

/** They add nothing to what is asked. */
export const EMPTY_WORDS = words('really actually basically');
/** In a question how or why something is done in general, whose it is adds nothing; in all others "a role", "the role" and "my role" are three. */
export const DETERMINERS = words('a an the my our');
/** Before these they are no articles but names: "restart server a in Berlin". */
export const NO_NOUNS = words('and or but from to in on at of for with by as is are was were be that which who when where if via into onto through over under than');

/** One form for several; the words around them say who does something to whom. */
export const SAME_FORMS: ReadonlyMap<string, string> = new Map(Object.entries({ is: 'BE', are: 'BE', am: 'BE', do: 'DO', does: 'DO', was: 'WAS', were: 'WAS' }));

/** Questions about words: none of theirs is without meaning, and none stands for another. */
export const WORDS_ABOUT_WORDS = words('say saying said mean means meaning spell spelled spelling translate translation translated pronounce pronounced pronunciation word words phrase term terms letter letters synonym synonyms antonym antonyms opposite rhyme rhymes definition define grammar idiom sentence quote plural singular');

/** Marks of what is asked. */
export const QUESTION_WORDS: ReadonlyMap<string, string> = new Map('who whom whose when where why which what how can could may might should must ought'.split(' ').map((word) => [word, word.toUpperCase()]));
/** At the beginning they ask for yes or no. */
export const YES_NO_BEGINNINGS = words('is are am was were do does did has have had will would');
/** Not so: they say of a question what it is not about. */
export const NEGATIONS = words('not no never without none nobody nothing nowhere neither nor unable hardly barely except excluding exclude non minus lacks lack lacking missing fails');

export const QUANTITIES = words(`all any every each some both either most many few several more less fewer least only entire whole half twice double always sometimes often rarely usually
  at-least at-most up-to about approximately roughly exactly maximum minimum max min average total first last next previous latest newest oldest earliest current`);

/** In a question with one of these, one more or one less of something is another question. */
export const SUPERLATIVES = words('best worst top bottom first last latest newest oldest earliest biggest largest smallest highest lowest most least fastest slowest current next previous');

/** Words that are opposites of others here. Any difference in words is another question; these are told apart by name. */
export const OPPOSITES = words(`enable disable enabled disabled allow deny allowed denied block unblock blocked unblocked permit forbid prohibit ban grant revoke granted revoked accept reject accepted rejected approve refuse approved refused start stop begin end open close opened closed lock unlock locked unlocked increase decrease raise lower reduce grow shrink add remove delete create destroy insert install uninstall mount unmount
  attach detach connect disconnect encrypt decrypt encrypted decrypted encode decode compress decompress import export upload download push pull send receive read write input output inbound outbound ingress egress internal external public private show hide include before after above below over under inside outside left right
  up down true false yes on off high low good bad safe unsafe secure insecure valid invalid legal illegal trusted untrusted known unknown success failure pass fail healthy unhealthy malicious benign legitimate login logout subscribe unsubscribe buy sell lend borrow upgrade downgrade update rollback restore backup
  activate deactivate suspend resume pause expand collapse parent child source destination client server ancestor descendant positive negative active inactive online offline hot cold fast slow big small large old new cheap expensive`);

/** Other spellings and short forms of one word; nothing that only means nearly the same. */
export const SPELLINGS: ReadonlyMap<string, string> = new Map(
  [
    'utilize utilise', 'config configuration', 'admin administrator', 'db database', 'repo repository', 'info information', 'organization organisation', 'color colour', 'analyze analyse', 'vulnerability vuln', 'versus vs', 'license licence', 'center centre', 'behavior behaviour', 'authorize authorise', 'customize customise', 'optimize optimise', 'summarize summarise', 'synchronize synchronise',
  ].flatMap((group) => {
    const [first = '', ...others] = group.split(' ');
    return others.map((other): [string, string] => [other, first]);
  }),
);

/** How something is done is the same for one and for many of these; they mean nothing else in the plural, as windows, minutes and customs do. */
export const COUNTED: ReadonlyMap<string, string> = new Map(
  `account address admin administrator agent alert attachment backup backend bucket certificate channel cluster container credential dashboard database device disk domain email employee endpoint error event file firewall folder group host incident invoice key laptop log mailbox message meeting node package password patch permission
  playbook pod policy port printer process project query queue record recording report repository request role route rule scan schedule script secret server service session snapshot subnet subscription tag task template tenant ticket token user vendor version volume vulnerability webhook workflow workspace`.trim().split(/\s+/).map((noun) => [pluralOf(noun), noun]),
);

function pluralOf(noun: string): string {
  if (/(?:s|x|sh|ch)$/.test(noun)) return `${noun}es`;
  return /[^aeiou]y$/.test(noun) ? `${noun.slice(0, -1)}ies` : `${noun}s`;
}

/** Words as well as names: with a capital letter they are another thing. */
export const NAMES_LIKE_WORDS = words(`access aids apple april august bill box brave buffer cat chrome china claude confluence cricket defender drive edge excel exchange express falcon flow forms frank gemini go grace graph ice it java jack japan jordan lambda linear march mark maps may meet mobile nest nice notes notion numbers object office oracle outlook pages pat people photos pin planner polish project python rails reading react ring robin rose
  ruby rust safari sage sentinel shell signal slack sketch soc spark spring sky snowflake splash square stage stream stripe sun swift target task teams teller turkey us vault visa vision watch water who will windows word zoom`);
