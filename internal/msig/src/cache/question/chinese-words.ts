/**
 * Chinese has no spaces: one wording for many, tried longest first. The right side is what stands
 * for it: nothing, a mark of what is asked, or one way to say it. Characters that are in no phrase
 * stand for themselves.
 */
const groups: readonly (readonly [to: string, from: string])[] = [
  ['', '请问 请教一下 请教 麻烦 请 帮我 帮忙 可以告诉我 能告诉我 告诉我 我想知道 想知道 我想了解 想了解 我想问一下 想问一下 我想问 想问 问一下 一下 你好 您好 谢谢 多谢 我们的 我的 的 呢 吧 啊 呀 哦 嘛 地 得 才 就 要 是 在 进行 具体 详细 介绍 说明 解释 究竟 到底'],
  ['HOW', '怎么样才能 怎样才能 如何才能 怎么才能 要怎么 该怎么 应该怎么 应该如何 怎么办 怎么做 怎么 怎样 如何 咋 的方法 方法 的步骤 步骤 流程 办法'],
  ['WHY', '为什么 为何 为啥 什么原因 的原因 原因 怎么会 怎么回事'],
  ['WHEN', '什么时候 何时 几时 什么时间 哪天 几点 哪一年 哪年'],
  ['WHERE', '在哪里 在哪儿 在哪 哪里 哪儿 何处 什么地方'],
  ['WHO', '什么人 哪位 谁'],
  ['COUNT', '多少个 多少 几个 几条 几次 数量'],
  ['DURATION', '多长时间 多久 多长'],
  ['SIZE', '多大 多高 多远 多快'],
  ['WHICH', '哪一个 哪个 哪些 哪种 哪几种 有哪些'],
  ['WHATIS', '什么是 是什么意思 是什么 什么意思 是啥 的定义 定义 的含义 含义'],
  ['WHAT', '什么 啥'],
  ['ASK', '吗 是否 是不是 有没有 么'],
  ['CAN', '能不能 能否 可否 可不可以 可以 会不会 能够 能'],
  ['SHOULD', '应不应该 该不该 要不要 需不需要 应该 应当 需要 必须 该'],
  ['NOT', '不能够 没有 没 不 未 非 无 勿 别 莫 毋'],
  ['DIFFERENCE', '有什么不同 有什么区别 有何不同 有何区别 的区别 区别 的差别 差别 的差异 差异 不同'],
  ['FORBID', '禁止 不允许 不准 不许 严禁'],
  ['ALLOW', '允许 准许 许可'],
  ['ENABLE', '开启 启用 打开 开通 激活'],
  ['DISABLE', '关闭 禁用 停用 关掉 关上'],
  ['CHANGE', '修改 更改 变更 改变'],
  ['DELETE', '删除 移除 删掉 去掉'],
  ['CREATE', '创建 新建 建立'],
  ['VIEW', '查看 查询 查找'],
  ['LOGIN', '登录 登陆 登入'],
  ['LOGOUT', '退出登录 登出'],
  ['RESET', '重置 重设'],
  ['PASSWORD', '密码 口令'],
  ['ACCOUNT', '账号 帐号 账户 帐户'],
  ['COMPUTER', '电脑 计算机'],
  ['CONFIG', '设置 配置 设定'],
  ['FIX', '修复 解决'],
  ['ALL', '所有 全部 一切'],
  ['EVERY', '每个 每一个 每'],
  ['SOME', '一些 某些 部分'],
  ['ONLY', '仅仅 只有 只 仅'],
  ['MORE', '更多'],
  ['LESS', '更少'],
];

/** Who asks, where the question begins: "我怎么" is "怎么"; elsewhere it is whom something is done to. */
export const CHINESE_ASKERS: ReadonlySet<string> = new Set(['我', '我们']);
/** Where these stand says who does something and who has it done. */
export const CHINESE_PLACED_MARKS: ReadonlySet<string> = new Set(['WHO', 'WHAT', 'WHICH', 'WHERE', 'COUNT']);

/** Questions about words: none of theirs is without meaning. */
export const CHINESE_WORDS_ABOUT_WORDS = /翻译|怎么说|怎么读|怎么写|发音|拼音|英文|英语|中文|日语|法语|近义|反义|词语|成语|造句|意思/u;

export const CHINESE_PHRASES: ReadonlyMap<string, string> = new Map(groups.flatMap(([to, from]) => from.split(' ').map((phrase): [string, string] => [phrase, to])));
export const CHINESE_PHRASE_CHARS_MAX = Math.max(...[...CHINESE_PHRASES.keys()].map((phrase) => phrase.length));

