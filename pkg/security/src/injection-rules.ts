/** A sign of an injection. `weight` is the chance, by our reading, that a text with it alone is one. */
export interface InjectionRule {
  readonly name: string;
  readonly weight: number;
  /** Over folded text (see `fold`): lower case, one blank at a time. Linear: every repeat is bounded. */
  readonly pattern: RegExp;
}

const DROP = "(?:ignore|disregard|forget|discard|overrule|pay no attention to|do not (?:follow|obey)|don't (?:follow|obey)|stop (?:following|obeying))";
/** Verbs that honest alerts use too ("tried to bypass existing rules"): they count only with orders given to a model. */
const EVADE = '(?:override|bypass|neglect|skip|circumvent)';
const FORMER = '(?:previous|prior|above|earlier|preceding|foregoing|former|existing|original|initial|system|developer)';
const FILLER = '(?:(?:all|any|every|everything|of|the|these|those|my|your|to|about|what|that|security|safety|and|or|given|user|content|previous|prior|above|earlier|system) ){0,6}';
const MODEL_ORDERS = '(?:instructions?|prompts?|directives?|guardrails?|programming|system message|system prompt)';
const ORDERS = `(?:${MODEL_ORDERS.slice(3, -1)}|guidelines?|commands?|orders|rules|restrictions|constraints|context|training)`;
/** "Ignore any instructions in the e-mail" is advice against an injection. */
const NOT_ADVICE = '(?! (?:that (?:are|is) )?(?:(?:contained|embedded|found|included|written) )?(?:in|inside|contained|embedded|found|within|from|on|by) (?:the |a |an |any |this |that |such )?(?:suspicious |unknown |unsolicited |external )?(?:e-?mails?|messages?|attachments?|documents?|pages?|sites?|websites?|caller|sender|files?|phishing|logs?|tickets?|tool|content|text))';

const ENGLISH: readonly InjectionRule[] = [
  { name: 'override', weight: 0.8, pattern: new RegExp(`\\b${DROP}\\b,? ${FILLER}${FORMER} ${FILLER}${ORDERS}\\b`, 'g') },
  { name: 'override', weight: 0.8, pattern: new RegExp(`\\b${EVADE} ${FILLER}${FORMER} ${FILLER}${MODEL_ORDERS}\\b`, 'g') },
  { name: 'override_any', weight: 0.65, pattern: new RegExp(`\\b(?:${DROP}|${EVADE}) (?:all|any|every|your|all of|all your|any of)(?: the| your| of your| safety| content| other| security){0,3} ${MODEL_ORDERS}\\b${NOT_ADVICE}`, 'g') },
  { name: 'override_any', weight: 0.6, pattern: /\b(?:ignore|disregard|forget|bypass|override) (?:all )?(?:of )?your (?:\w{1,20} ){0,2}(?:rules|guidelines|restrictions|constraints|training|safety)\b/g },
  { name: 'override_short', weight: 0.7, pattern: new RegExp(`\\b(?:${DROP}|${EVADE}) (?:everything|all|anything) (?:(?:you (?:were|have been|are) (?:told|taught|instructed|given))|(?:(?:of )?the )?(?:above|before(?: this)?|previously|prior)(?=[\\s.,;:!]|$)|(?:that )?(?:came )?(?:before|above))`, 'g') },
  { name: 'override_trailing', weight: 0.7, pattern: new RegExp(`\\b${DROP} (?:(?:all|any|the|of|these|those) ){0,3}(?:instructions?|prompts?|directives?|orders) (?:above|before|you (?:were|have been|are) given|given (?:to you|above|before|earlier)|that (?:came|were given|precede)|from (?:the|your) (?:system|developer|user))`, 'g') },
  { name: 'new_instructions', weight: 0.55, pattern: /\b(?:your (?:new|real|actual|true|updated|only) (?:instructions?|task|goal|objective|orders|role|mission) (?:is|are|now)\b|(?:here are|these are|follow) (?:your|the|my) new (?:instructions|orders|rules)|new (?:system )?instructions?:)/g },
  { name: 'role_change', weight: 0.6, pattern: /\b(?:you are (?:now|no longer) (?:an? |the |in |my |bound |restricted |limited |required )?(?:dan\b|unrestricted|unfiltered|uncensored|jailbroken|evil|free|developer mode|god mode|root|admin(?:istrator)?\b|different|ai |assistant|bound|restricted|limited|required|chatgpt)|(?:enter|enable|activate|switch (?:in)?to|you are in) (?:developer|debug|god|dan|jailbreak|unrestricted|maintenance|admin) mode|pretend (?:you are|to be|that you) (?:not |no longer |an? )?(?:ai|bound|restricted|unrestricted|admin|without|have no)|do anything now)/g },
  { name: 'no_restrictions', weight: 0.5, pattern: /\b(?:without (?:any )?(?:restrictions?|limitations?|filters?|safety (?:checks?|guidelines?))|you have no (?:restrictions|rules|limitations|guidelines)|(?:ignoring|bypassing) (?:all |any |your )?(?:safety|ethical|content) (?:guidelines|rules|filters|policies))/g },
  { name: 'prompt_leak', weight: 0.65, pattern: /\b(?:reveal|print|show|repeat|output|display|tell me|disclose|leak|dump|recite|write out|give me|return|send)(?: me| us| back| out)? (?:(?:all|the|full|exact|entire|complete|verbatim|contents?|text|of|word for word|hidden|initial|original|first) ){0,6}(?:your|system|hidden|secret|initial|developer) (?:(?:system|hidden|secret|initial|full|original|developer|internal|and) ){0,3}(?:prompt|instructions|message|rules|directives)\b/g },
  { name: 'prompt_leak_above', weight: 0.6, pattern: /\b(?:repeat|print|output|recite|copy) (?:(?:all|the|every|everything|exact|of|words?|text|content|verbatim) ){0,5}(?:above|before this|in your context)\b/g },
  { name: 'hide_from_user', weight: 0.55, pattern: /\b(?:(?:do not|don't|never|without) (?:tell|inform|notify|mention(?: this| it| anything)? to|alert|ask(?:ing)?|reveal(?: this| it)? to|telling|informing|notifying|alerting|warning) (?:the )?(?:user|human|operator|analyst|admin|administrator|owner|anyone|security team|approver)|keep (?:this|it) (?:a )?secret from (?:the )?(?:user|analyst|operator))/g },
  { name: 'skip_approval', weight: 0.55, pattern: /\b(?:proceed|go ahead|continue|act|do (?:it|this|so)|(?:block|execute|run|delete|isolate) (?:it|them|this|now|immediately)) (?:\w{1,12} ){0,2}without (?:(?:any|the|human|waiting for|asking for|requesting) ){0,4}(?:user )?(?:approval|confirmation|authorization)|\b(?:approval|confirmation) is (?:not|no longer) (?:needed|required|necessary)[,;.]? (?:just|so|proceed|execute|block|go)/g },
  { name: 'agent_addressed', weight: 0.45, pattern: /\b(?:(?:attention|important|note|message|instructions?|urgent|hey|dear|hello)[ ,:!-]{1,4}(?:(?:to|for|from) )?(?:the |any |all )?(?:ai|llm|language model|assistant|agent|chatbot|model|copilot)s?\b|(?:if you are|as) an? (?:ai|llm|language model|large language model)(?: agent| assistant| model)? (?:reading|processing|summari[sz]ing|parsing|you must|you should)|(?:ai|llm) (?:agent|assistant|model)s? (?:reading|processing|analy[sz]ing|handling) this (?:must|should|shall|will|are))/g },
  { name: 'verdict_steering', weight: 0.55, pattern: /\b(?:(?:mark|classify|treat|label|report|close|rate|consider) (?:this|the|it|all)(?: (?:alert|event|incident|ip|address|file|email|host|of these|as|traffic|case|ticket|activity)){0,3} (?:as )?(?:benign|harmless|safe|false positive|not malicious|resolved|clean) (?:and|regardless|no matter|without|immediately|even if)|(?:always|must) (?:say|answer|respond|reply|conclude|report) (?:that )?(?:(?:this|it|the|ip|file|host|alert) ){1,3}is (?:safe|benign|clean|harmless))/g },
  { name: 'exfiltration', weight: 0.7, pattern: /\b(?:send|post|upload|forward|e-?mail|exfiltrate|transmit|leak|submit|append|deliver)\b[^.\n]{0,80}\b(?:api[ _-]?keys?|passwords?|credentials?|secrets?|tokens?|environment variables?|conversation(?: history)?|chat history|private keys?|system prompt|customer (?:data|list|records)|ssh keys?)\b[^.\n]{0,60}\b(?:to|via|at|in) (?:the (?:url|address|server|following) )?(?:https?:\/\/|hxxps?|ftp:\/\/|[a-z0-9._%+-]{1,64}@|my (?:server|email|site)|attacker|\d{1,3}\.\d)/g },
  { name: 'exfiltration_link', weight: 0.7, pattern: /!\[[^\]\n]{0,200}\]\(https?:\/\/[^)\s]{1,300}[?&][a-z_]{1,32}=(?:\{|\[|<|%7b|\$)/g },
];

const CHINESE: readonly InjectionRule[] = [
  { name: 'override_zh', weight: 0.8, pattern: /(?:忽略|无视|忘记|忘掉|不要(?:再)?(?:遵守|遵循|理会|执行)|抛弃|跳过|绕过|覆盖|放弃|停止(?:遵守|遵循|执行))(?:掉|你)?(?:的|所有|全部|一切|任何|此前|之前|以上|上面|上述|先前|前面|前述|原有|原来|原先|现有|系统|你|收到|给你|设定|安全|关于|这些|那些|,|，| ){1,8}(?:指令|指示|提示词|提示|命令|要求|规则|约束|限制|设定|系统消息|说明|内容|准则)/g },
  { name: 'new_role_zh', weight: 0.6, pattern: /(?:从现在(?:开始|起)|现在)[,， ]?(?:你|您)(?:就|将|要)?(?:是|扮演|变成|成为|作为|进入)(?:一个|一名)?(?:不受(?:任何)?(?:限制|约束)|没有(?:任何)?(?:限制|约束|道德)|自由|越狱|开发者模式|dan|管理员|root)|(?:进入|启用|开启|激活|切换(?:到|为))(?:开发者|调试|越狱|上帝|无限制|管理员|维护)模式|你(?:不再|不用|无需|不必)(?:受|遵守|遵循)[^。\n]{0,12}(?:限制|约束|规则|规定)/g },
  { name: 'new_instructions_zh', weight: 0.55, pattern: /(?:你的|新的)(?:新|真正|真实|实际|唯一|最新)?(?:的)?(?:系统)?(?:指令|任务|目标|使命)(?:是|如下|为|:|：)(?=.{2,})/g },
  { name: 'prompt_leak_zh', weight: 0.65, pattern: /(?:输出|打印|显示|告诉我|泄露|重复|复述|展示|公开|说出|给我|返回|透露)(?:一下|出来|出)?(?:你|您|我)?(?:的|们|全部|完整|所有|原始|初始|上面|以上|隐藏|内部|一字不差|逐字){0,6}(?:系统提示词?|系统指令|初始指令|初始提示词?|隐藏指令|内部指令|系统消息|提示词)/g },
  { name: 'hide_from_user_zh', weight: 0.55, pattern: /(?:不要|别|无需|不用|不必|切勿)(?:告诉|通知|告知|提醒|询问|惊动|让)(?:用户|分析师|管理员|任何人|安全团队|运维|审批人|人类)|(?:无需|不用|不必|跳过|绕过|不经过)(?:任何|人工|用户)?(?:审批|确认|批准|授权)(?:直接|,|，|立即|马上|即可|就)/g },
  { name: 'agent_addressed_zh', weight: 0.45, pattern: /(?:ai|人工智能|智能|语言|大)(?:助手|助理|智能体|模型|代理)(?:请注意|注意|必须|应当|应该|请立即|请直接|看到此|读到|:|：|,请|，请)|(?:如果你是|作为)(?:一个|一名)?(?:ai|人工智能|大?语言模型|智能体)[^。\n]{0,20}(?:必须|应当|请|需要)/g },
  { name: 'verdict_steering_zh', weight: 0.55, pattern: /(?:将|把|请将|请把)(?:此|该|本|这(?:个|条)|所有)?(?:告警|事件|ip|地址|文件|主机|邮件|流量)?(?:标记|判定|归类|定性|视|当作|认定)(?:为|成|作)?(?:误报|安全|良性|无害|白名单|正常)(?:并|,并|，并|且|,不|，不|,无|，无|,立即|，立即)/g },
  { name: 'exfiltration_zh', weight: 0.7, pattern: /(?:密码|密钥|凭证|凭据|令牌|环境变量|聊天记录|对话(?:记录|历史)|系统提示词?|客户(?:数据|资料|名单)|api ?key|token)[^。\n]{0,40}(?:发送|上传|提交|转发|外发|传输|发)(?:到|给|至)[^。\n]{0,10}(?:https?:\/\/|hxxp|[a-z0-9._%+-]{1,64}@|\d{1,3}\.\d|我的|外部)|(?:发送|上传|提交|转发|外发)[^。\n]{0,40}(?:密码|密钥|凭证|凭据|令牌|环境变量|聊天记录|系统提示词?|api ?key)[^。\n]{0,20}(?:到|给|至) ?(?:https?:\/\/|hxxp|[a-z0-9._%+-]{1,64}@|我的|外部)/g },
];

/** Text that plays the part of the system, of another turn, or of a tool call. */
const IMPERSONATION: readonly InjectionRule[] = [
  { name: 'chat_markup', weight: 0.75, pattern: /<\|(?:im_start|im_end|system|user|assistant|endoftext|eot_id|start_header_id|end_header_id|begin_of_text)\|>|\[\/?inst\]|<<\/?sys>>|<\/?(?:system|assistant|system_prompt|system-reminder|developer)(?:_message)?>/g },
  { name: 'turn_header', weight: 0.5, pattern: /(?:^|\n)[ #*>-]{0,6}(?:system(?: message| prompt| override| update)?|developer|assistant|new system prompt|系统(?:消息|提示|指令|通知)?)[ *]{0,3}[:：][ *]{0,3}(?=[^\n]{0,200}(?:\byou (?:must|should|are|will|have)\b|\bignore\b|\bnow\b|\bcall\b|\bmust\b|\boverride\b|你|必须|忽略|立即|调用))/g },
  { name: 'tool_call_markup', weight: 0.6, pattern: /<\/?(?:tool_call|function_call|function_calls|invoke|tool_use|antml:invoke|tool_result|tool_response)\b[^>\n]{0,200}>|"(?:tool_calls|function_call)"[ ]?:[ ]?[[{]|(?:^|\n)[ ]{0,4}(?:action|final answer)[ ]?:[ ]?[a-z_]{3,64}[ ]{0,3}\r?\n[ ]{0,4}action input[ ]?:/g },
  { name: 'tool_order', weight: 0.3, pattern: /\b(?:(?:you must|you should|now|immediately|please|then) (?:immediately |now |also )?(?:call|invoke|execute|use|run) (?:the )?(?:tool |function )?[`'"]?[a-z]{2,32}(?:_[a-z0-9]{2,32}){1,5}[`'"]?)|(?:立即|马上|请直接|必须|现在)(?:调用|执行|运行|使用)(?:工具|函数)?[ `'"]{0,2}[a-z]{2,32}(?:_[a-z0-9]{2,32}){1,5}/g },
  { name: 'boundary_break', weight: 0.5, pattern: /(?:-{3,}|={3,}|#{3,}|\*{3,}) ?(?:end|end of|begin|start of|new) (?:of )?(?:the )?(?:user |system |tool |new |untrusted )?(?:input|prompt|context|instructions?|data|document|message|output|content)/g },
];

export const INJECTION_RULES: readonly InjectionRule[] = [...ENGLISH, ...CHINESE, ...IMPERSONATION];

/** For text whose blanks were taken out. */
export const SQUEEZED_RULES: readonly InjectionRule[] = [
  { name: 'override', weight: 0.8, pattern: /(?:ignore|disregard|forget|override|bypass)(?:all|any|the|of|your|my){0,4}(?:previous|prior|above|earlier|system|your|safety)(?:the|system){0,2}(?:instruction|prompt|rule|directive|guideline|command)/g },
  { name: 'prompt_leak', weight: 0.65, pattern: /(?:reveal|print|show|repeat|output|dump)(?:me|the|your|full){0,4}(?:system|hidden|secret|initial)(?:prompt|instructions|message)/g },
  { name: 'hide_from_user', weight: 0.55, pattern: /(?:donot|dont|never)(?:tell|inform|notify|alert)(?:the)?(?:user|analyst|operator|admin)/g },
];
