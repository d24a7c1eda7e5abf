// LangGraph.js as its documentation makes an agent loop: a graph with a model node and a tool node, messages as the state,
// a checkpoint after each node. `durability` is the option of `invoke`: "sync" waits for the checkpoint, "async" (the
// library's default) writes it while the next node runs.
import { AIMessage, HumanMessage, ToolMessage } from '@langchain/core/messages';
import { END, MessagesAnnotation, START, StateGraph } from '@langchain/langgraph';
import { PostgresSaver } from '@langchain/langgraph-checkpoint-postgres';

const newInput = () => ({ messages: [new HumanMessage('bench')] });

export async function open({ url, steps, hooks, options }) {
  const checkpointer = PostgresSaver.fromConnString(url);
  await checkpointer.setup();
  const graph = createGraph(steps, hooks, checkpointer);
  // The library stops a loop after 25 super-steps unless told otherwise; a step here is two of them.
  const configOf = (id) => ({ configurable: { thread_id: id }, durability: options.durability, recursionLimit: 2 * steps + 10 });
  return {
    start: async (id) => {
      await graph.invoke(newInput(), configOf(id));
      return id;
    },
    // "Resume execution": the same thread with no new input. Nothing in the library knows which threads were under way, and
    // a thread of which no checkpoint had been written is refused: only its caller can begin it again from its input.
    recover: async (ids) => {
      await Promise.all(
        ids.map(async (id) => {
          const { values } = await graph.getState(configOf(id));
          const isKnown = (values.messages?.length ?? 0) > 0;
          await graph.invoke(isKnown ? null : newInput(), configOf(id));
        }),
      );
      const states = await Promise.all(ids.map((id) => graph.getState(configOf(id))));
      return { finished: states.filter((state) => state.next.length === 0 && state.values.messages.length === 2 * steps + 2).length, waiting: 0 };
    },
    close: () => checkpointer.end(),
  };
}

function createGraph(steps, hooks, checkpointer) {
  const model = async (state, config) => {
    const acts = state.messages.filter((message) => message.getType() === 'tool').length;
    await hooks.model(config.configurable.thread_id, acts);
    const calls = acts < steps ? [{ id: `c${acts}`, name: 'echo', args: { n: acts }, type: 'tool_call' }] : [];
    return { messages: [new AIMessage({ content: acts < steps ? 'next' : 'done', tool_calls: calls })] };
  };
  const tools = async (state, config) => {
    const [call] = state.messages.at(-1).tool_calls;
    await hooks.tool(config.configurable.thread_id, call.args.n);
    return { messages: [new ToolMessage({ content: JSON.stringify(call.args), tool_call_id: call.id })] };
  };
  return new StateGraph(MessagesAnnotation)
    .addNode('model', model)
    .addNode('tools', tools)
    .addEdge(START, 'model')
    .addConditionalEdges('model', (state) => (state.messages.at(-1).tool_calls?.length ? 'tools' : END), ['tools', END])
    .addEdge('tools', 'model')
    .compile({ checkpointer });
}
