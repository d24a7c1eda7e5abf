const words = (text: string): ReadonlySet<string> => new Set(text.trim().split(/\s+/));

/** One wording for many: tried longest first on lower-case words; the right side are words again, or marks in capitals. */
export const ENGLISH_PHRASES: readonly (readonly [from: string, to: string])[] = [
  // Politeness says nothing.
  ...['can you please', 'could you please', 'would you please', 'will you please', 'can you tell me', 'could you tell me', 'can you show me', 'could you show me', 'can you help me', 'could you help me',
    'please tell me', 'please help me', 'please show me', 'tell me', 'show me', 'help me', 'let me know', 'do you know', 'i want to know', 'i would like to know', "i'd like to know", 'i need to know', 'i was wondering', 'i am wondering', "i'm wondering", 'just wondering', 'i have a question', 'quick question', 'thank you', 'thanks', 'please', 'hello', 'hi', 'hey'].map((from): [string, string] => [from, '']),
  // How something is done, by anybody: what follows begins with the verb.
  ...['explain how to', 'explain to me how to', 'how do i', 'how do you', 'how do we', 'how does one', 'how can i', 'how can you', 'how can we', 'how can one', 'how could i', 'how should i', 'how should we', 'how would i', 'how would you', 'how to', 'how am i able to',
    'what is the way to', 'what is a way to', 'what are the steps to', 'what are the steps for', 'what is the process to', 'what is the process for', 'what is the procedure to', 'what is the procedure for', 'what do i need to do to', 'what do i have to do to', 'what should i do to', 'what must i do to', 'is there a way to', 'is there any way to', 'steps to', 'steps for', 'way to', 'ways to', 'guide to', 'instructions to', 'instructions for', 'procedure for', 'procedure to'].map((from): [string, string] => [from, 'HOWTO']),
  ['explain how', 'HOW'], ['describe how', 'HOW'],
  ...['what is the meaning of', 'what does it mean', 'what is meant by', 'definition of', 'meaning of', 'define', 'what are', 'what is', "what's", 'whats', 'explain what is', 'explain what', 'explain to me', 'explain', 'can you explain', 'could you explain', 'describe'].map((from): [string, string] => [from, 'WHAT']),
  ...['how many', 'what number of', 'what is the number of', 'number of', 'count of'].map((from): [string, string] => [from, 'COUNT']),
  ['how much', 'MUCH'], ['how long', 'DURATION'], ['how often', 'FREQUENCY'], ['how old', 'AGE'], ['how far', 'DISTANCE'], ['how come', 'WHY'], ['what is the reason for', 'WHY'], ['what is the reason', 'WHY'], ['for what reason', 'WHY'], ['what time', 'WHEN'], ['at what time', 'WHEN'], ['what date', 'WHEN'], ['in what place', 'WHERE'],
  ['is it possible to', 'CAN'], ['is it possible for me to', 'CAN'], ['am i able to', 'CAN'], ['am i allowed to', 'MAY'], ['is it allowed to', 'MAY'],
  ['do i need to', 'SHOULD'], ['do i have to', 'SHOULD'], ['is it necessary to', 'SHOULD'], ['do we need to', 'SHOULD'], ['do we have to', 'SHOULD'],
  // Verbs of two words.
  ['turn on', 'enable'], ['switch on', 'enable'], ['turn off', 'disable'], ['switch off', 'disable'], ['turned on', 'enabled'], ['turned off', 'disabled'], ['set up', 'setup'], ['log in to', 'login'], ['log into', 'login'], ['log in', 'login'], ['sign in to', 'login'], ['sign into', 'login'], ['sign in', 'login'], ['log on', 'login'], ['logon', 'login'], ['signin', 'login'], ['log out', 'logout'], ['sign out', 'logout'], ['log off', 'logout'], ['logoff', 'logout'], ['signout', 'logout'], ['get rid of', 'delete'],
  ['two factor authentication', '2fa'], ['two-factor authentication', '2fa'], ['two factor', '2fa'], ['multi factor authentication', 'mfa'], ['single sign on', 'sso'], ['e mail', 'email'],
  ['difference between', 'difference between'], ['in order to', 'INF'], ['up to', 'up-to'], ['at least', 'at-least'], ['at most', 'at-most'], ['no longer', 'not still'], ['are there', ''], ['as well as', 'and'], ['instead of', 'instead-of'], ['rather than', 'instead-of'],
];

export const CONTRACTIONS: ReadonlyMap<string, string> = new Map(
  Object.entries({
    "can't": 'can not', cannot: 'can not', "won't": 'will not', "shan't": 'will not', "ain't": 'is not', "i'm": 'i am', "it's": 'it is', "that's": 'that is', "there's": 'there is', "what's": 'what is', "who's": 'who is', "where's": 'where is', "when's": 'when is', "how's": 'how is', "why's": 'why is', "let's": 'let us', dont: 'do not', cant: 'can not', wont: 'will not', doesnt: 'does not', isnt: 'is not', didnt: 'did not', whats: 'what is',
  }),
);

/** They hold a sentence together and add nothing to what is asked. */
export const EMPTY_WORDS = words(`a an the i we my our mine ours myself ourselves and this that these those it its so just also INF
  really actually basically simply currently please ok okay`);

/** One form for several; the words themselves say who does something to whom. */
export const SAME_FORMS: ReadonlyMap<string, string> = new Map(Object.entries({ is: 'BE', are: 'BE', am: 'BE', be: 'BE', been: 'BE', being: 'BE', do: 'DO', does: 'DO', doing: 'DO', me: 'ME', us: 'ME', was: 'WAS', were: 'WAS', did: 'DID', had: 'HAD', will: 'WILL', would: 'WOULD' }));

/** Questions about words: none of theirs is without meaning, and none stands for another. */
export const WORDS_ABOUT_WORDS = words('say saying said mean means meaning spell spelled spelling translate translation translated pronounce pronounced pronunciation word words phrase term terms letter letters synonym synonyms antonym antonyms opposite rhyme rhymes definition define grammar idiom sentence quote plural singular');

/** Marks of what is asked. */
export const QUESTION_WORDS: ReadonlyMap<string, string> = new Map(
  Object.entries({ who: 'WHO', whom: 'WHO', whose: 'WHOSE', when: 'WHEN', where: 'WHERE', why: 'WHY', which: 'WHICH', what: 'WHAT', how: 'HOW', can: 'CAN', could: 'CAN', may: 'MAY', might: 'MAY', should: 'SHOULD', must: 'SHOULD', ought: 'SHOULD' }),
);
/** At the beginning they ask for yes or no. */
export const YES_NO_BEGINNINGS = words('is are am was were do does did has have had will would');
/** Not so: they say of a question what it is not about. */
export const NEGATIONS = words('not no never without none nobody nothing nowhere neither nor unable hardly barely except excluding exclude non minus lacks lack lacking missing fails');

export const QUANTITIES = words(`all any every each some both either most many few several more less fewer least only entire whole half twice double always sometimes often rarely usually
  at-least at-most up-to about approximately roughly exactly maximum minimum max min average total first last next previous latest newest oldest earliest current`);

/** In a question with one of these, one more or one less of something is another question. */
export const SUPERLATIVES = words('best worst top bottom first last latest newest oldest earliest biggest largest smallest highest lowest most least fastest slowest current next previous');

/** What stands around them must not change places. */
export const ORDER_MARKS = words(`from to into onto toward towards than before after over under above below between versus vs by via through since until against instead-of like as-if if when while because replace replaced replaces
  or but up down out off within inside outside during per then not no never without except`);

/** After these, `to` begins a verb. */
export const BEFORE_INFINITIVE = words(`INF HOW CAN MAY SHOULD WHAT WHEN WHERE WHY way ways step steps need needs needed want wants wanted have has had like able unable HOWTO try tries trying tried going used possible best easiest simplest fastest required require requires necessary order tell know whether supposed allowed
  ought method methods procedure command commands instruction instructions something anything someone time safe hard easy difficult how what when where why fail fails failed forget forgot begin start started continue decide plan ready sure important good better recommended`);

/** Words that are opposites of others here. Any difference in words is another question; these are told apart by name. */
export const OPPOSITES = words(`enable disable allow deny block unblock permit forbid prohibit ban grant revoke accept reject approve refuse start stop begin end open close lock unlock increase decrease raise lower reduce grow shrink add remove delete create destroy insert install uninstall mount unmount
  attach detach connect disconnect encrypt decrypt encode decode compress decompress import export upload download push pull send receive read write input output inbound outbound ingress egress internal external public private show hide include exclude before after above below over under inside outside left right
  up down true false yes no on off high low good bad safe unsafe secure insecure valid invalid legal illegal trusted untrusted known unknown success failure pass fail healthy unhealthy malicious benign legitimate login logout subscribe unsubscribe buy sell lend borrow upgrade downgrade update rollback restore backup
  activate deactivate suspend resume pause expand collapse maximum minimum max min more less first last newest oldest latest earliest parent child source destination client server ancestor descendant positive negative active inactive online offline hot cold fast slow big small large old new cheap expensive`);

/** One word for several that ask the same here. */
export const SYNONYMS: ReadonlyMap<string, string> = new Map(
  [
    'delete remove erase', 'change modify alter edit', 'fix repair resolve', 'error problem issue', 'use utilize utilise', 'big large', 'quick fast rapid', 'picture image', 'config configuration', 'admin administrator', 'app application', 'db database', 'repo repository', 'docs documentation', 'info information', 'pc computer',
    'permission privilege', 'organization organisation', 'buy purchase', 'find locate', 'verify check', 'disable deactivate', 'enable activate', 'color colour', 'analyze analyse', 'vulnerability vuln', 'happen occur', 'film movie', 'car automobile', 'versus vs', 'begin start', 'allow permit',
  ].flatMap((group) => {
    const [first = '', ...others] = group.split(' ');
    return others.map((other): [string, string] => [other, first]);
  }),
);
