/**
 * Chinese has no spaces: one wording for many, tried longest first. Characters that are in no phrase
 * stand for themselves. As in English, two wordings share a mark only where they ask the same in any
 * sentence: 打开 is not 启用, 必须 not 应该, 没来 not 不来.
 */
const table = (lines: string): ReadonlyMap<string, string> =>
  new Map(
    lines.trim().split('\n').flatMap((line) => {
      const [to = '', ...from] = line.trim().split(' ');
      return from.map((phrase): [string, string] => [phrase, to]);
    }),
  );

/** Nothing at the beginning. */
export const CHINESE_POLITE_BEGINNINGS = '可以告诉我 能告诉我 我想问一下 请教一下 解释一下 介绍一下 说明一下 想问一下 我想知道 我想了解 想知道 想了解 我想问 告诉我 问一下 请问 请教 想问 请'.split(' ');
/** Nothing at the end. */
export const CHINESE_POLITE_ENDS = '谢谢 多谢 呢 啊 呀 哦'.split(' ');
/** Who asks, before how: "我怎么" is "怎么"; elsewhere it is who does something, or whom it is done to. */
export const CHINESE_ASKER = /^我们?(?=怎么|怎样|如何|咋)/;

/** What the whole question asks, said at its beginning. */
export const CHINESE_FIRST_ASKS = table('WHATIS 什么是');
/** The same, said at its end. */
export const CHINESE_LAST_ASKS = table(`
  WHATIS 是什么 是啥
  HOWTO 的方法 的步骤
  WHY 的原因 是什么原因
  ASK 吗 么
  DIFFERENCE 有什么区别 有何区别 的区别是什么 的区别 有什么不同 有何不同`);

/** What is asked, wherever it stands: its place counts. */
export const CHINESE_ASKS = table(`
  HOWTO 怎么才能 怎样才能 如何才能 怎么 怎样 如何 咋
  WHATTODO 怎么办
  WHY 为什么 为何 为啥
  WHEN 什么时候 何时 几时
  TIME 什么时间
  CLOCK 几点
  DAY 哪天
  YEAR 哪一年 哪年
  ATWHERE 在哪里 在哪儿 在哪
  WHERE 哪里 哪儿
  WHO 谁 哪位
  COUNT 多少个 多少
  SEVERAL 几个
  DURATION 多长时间 多久
  LENGTH 多长
  BIG 多大
  HIGH 多高
  FAR 多远
  FAST 多快
  WHICHONE 哪一个 哪个
  WHICH 哪些
  KIND 哪种
  WHAT 什么 啥
  ASK 是否
  CAN 能不能 能否
  SHOULD 应不应该 该不该`);

/** Other ways to say one thing, and words that are told apart by name. */
export const CHINESE_WORDS = table(`
  MINE 我的 我们的
  启用 启用
  禁用 禁用
  开启 开启
  打开 打开
  关闭 关闭 关掉
  停用 停用
  允许 允许
  禁止 禁止 严禁
  修改 修改 更改
  删除 删除 删掉
  创建 创建 新建
  登录 登录 登陆 登入
  登出 登出 退出登录
  重置 重置 重设
  密码 密码 口令
  账号 账号 帐号
  账户 账户 帐户
  电脑 电脑 计算机
  没 没有 没
  不 不
  未 未
  非 非
  无 无
  勿 勿
  别 别
  莫 莫
  毋 毋
  所有 所有
  全部 全部
  一切 一切
  每个 每个 每一个
  每 每
  一些 一些
  某些 某些
  部分 部分
  仅 仅 仅仅
  只有 只有
  只 只
  更多 更多
  更少 更少`);
/** Says nothing, wherever it stands: "查看一下". */
export const CHINESE_FILLERS: ReadonlySet<string> = new Set(['一下']);

export const CHINESE_OPPOSITES: ReadonlySet<string> = new Set('启用 禁用 开启 打开 关闭 停用 允许 禁止 创建 删除 登录 登出 更多 更少'.split(' '));
export const CHINESE_QUANTITIES: ReadonlySet<string> = new Set('所有 全部 一切 每个 每 一些 某些 部分 仅 只有 只'.split(' '));
export const CHINESE_NEGATIONS: ReadonlySet<string> = new Set('没 不 未 非 无 勿 别 莫 毋'.split(' '));

/** Questions about words: none of theirs is without meaning. */
export const CHINESE_WORDS_ABOUT_WORDS = /翻译|怎么说|怎么读|怎么写|发音|拼音|英文|英语|中文|日语|法语|近义|反义|词语|成语|造句|意思/u;
