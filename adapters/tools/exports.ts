// What a program gets as `portcullis/tools`. What is not named here is not promised to anybody.

export { type AiSdkTools, aiSdkTools, fromAiSdk } from './ai-sdk.ts';
export { type AnthropicTools, anthropicTools, fromAnthropic } from './anthropic.ts';
export { Denied } from './denied.ts';
export { agentOf, type Governed, type GovernedTools, type GovernOptions, govern } from './govern.ts';
export type { Answer, CallOptions, GovernedAgent, OfferedTool } from './governed-agent.ts';
export {
  fromOpenAi,
  type OpenAiResponseTools,
  type OpenAiTools,
  openAiResponseTools,
  openAiTools,
} from './openai.ts';
export { openAiAgentsTools } from './openai-agents.ts';
export { ToolFailed } from './tool-failed.ts';
export { type CallContext, type ToolFunction, tool } from './tool-function.ts';
