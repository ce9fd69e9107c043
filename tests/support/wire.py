"""Streams as real providers send them, with their oddities: comments, empty choices, usage in its own event, line ends."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Wire:
    """A recorded stream and what it says."""

    name: str
    body: bytes
    text: str
    calls: tuple[tuple[str, str], ...] = ()
    finish: str = "stop"
    tokens: tuple[int, int] = (0, 0)


OPENAI_TEXT = """\
data: {"id":"chatcmpl-C9x","object":"chat.completion.chunk","created":1756315657,"model":"gpt-4.1-mini-2025-04-14","service_tier":"default","system_fingerprint":"fp_6f2eabb9a5","choices":[{"index":0,"delta":{"role":"assistant","content":"","refusal":null},"logprobs":null,"finish_reason":null}],"usage":null,"obfuscation":"6VxbZXdT"}

data: {"id":"chatcmpl-C9x","object":"chat.completion.chunk","created":1756315657,"model":"gpt-4.1-mini-2025-04-14","service_tier":"default","system_fingerprint":"fp_6f2eabb9a5","choices":[{"index":0,"delta":{"content":"Größe: 5"},"logprobs":null,"finish_reason":null}],"usage":null,"obfuscation":"zY"}

data: {"id":"chatcmpl-C9x","object":"chat.completion.chunk","created":1756315657,"model":"gpt-4.1-mini-2025-04-14","service_tier":"default","system_fingerprint":"fp_6f2eabb9a5","choices":[{"index":0,"delta":{"content":" m 🌍"},"logprobs":null,"finish_reason":null}],"usage":null,"obfuscation":"zYq"}

data: {"id":"chatcmpl-C9x","object":"chat.completion.chunk","created":1756315657,"model":"gpt-4.1-mini-2025-04-14","service_tier":"default","system_fingerprint":"fp_6f2eabb9a5","choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}],"usage":null,"obfuscation":"J"}

data: {"id":"chatcmpl-C9x","object":"chat.completion.chunk","created":1756315657,"model":"gpt-4.1-mini-2025-04-14","service_tier":"default","system_fingerprint":"fp_6f2eabb9a5","choices":[],"usage":{"prompt_tokens":19,"completion_tokens":7,"total_tokens":26,"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}},"obfuscation":""}

data: [DONE]

"""  # noqa: E501

OPENAI_TOOLS = """\
data: {"id":"chatcmpl-D1","object":"chat.completion.chunk","created":1756315700,"model":"gpt-4.1-mini","choices":[{"index":0,"delta":{"role":"assistant","content":null,"tool_calls":[{"index":0,"id":"call_r1","type":"function","function":{"name":"search","arguments":""}}],"refusal":null},"finish_reason":null}]}

data: {"id":"chatcmpl-D1","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\\"q\\":"}}]},"finish_reason":null}]}

data: {"id":"chatcmpl-D1","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":" \\"tower\\"}"}}]},"finish_reason":null}]}

data: {"id":"chatcmpl-D1","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"tool_calls":[{"index":1,"id":"call_r2","type":"function","function":{"name":"search","arguments":"{\\"q\\":\\"bridge\\"}"}}]},"finish_reason":null}]}

data: {"id":"chatcmpl-D1","object":"chat.completion.chunk","choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}

data: {"id":"chatcmpl-D1","object":"chat.completion.chunk","choices":[],"usage":{"prompt_tokens":80,"completion_tokens":31,"total_tokens":111}}

data: [DONE]

"""  # noqa: E501

VLLM_REASONING = """\
data: {"id":"chat-7b","object":"chat.completion.chunk","created":1733000000,"model":"Qwen/Qwen3-8B","choices":[{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}]}

data: {"id":"chat-7b","object":"chat.completion.chunk","created":1733000000,"model":"Qwen/Qwen3-8B","choices":[{"index":0,"delta":{"reasoning_content":"The user wants a number."},"logprobs":null,"finish_reason":null}]}

data: {"id":"chat-7b","object":"chat.completion.chunk","created":1733000000,"model":"Qwen/Qwen3-8B","choices":[{"index":0,"delta":{"content":"It is"},"logprobs":null,"finish_reason":null}]}

data: {"id":"chat-7b","object":"chat.completion.chunk","created":1733000000,"model":"Qwen/Qwen3-8B","choices":[{"index":0,"delta":{"content":" 42."},"logprobs":null,"finish_reason":"stop","stop_reason":null}]}

data: {"id":"chat-7b","object":"chat.completion.chunk","created":1733000000,"model":"Qwen/Qwen3-8B","choices":[],"usage":{"prompt_tokens":12,"total_tokens":29,"completion_tokens":17}}

data: [DONE]

"""  # noqa: E501

OLLAMA = """\
data: {"id":"chatcmpl-620","object":"chat.completion.chunk","created":1731000000,"model":"qwen3","system_fingerprint":"fp_ollama","choices":[{"index":0,"delta":{"role":"assistant","content":"<think>\\nhm"},"finish_reason":null}]}

data: {"id":"chatcmpl-620","object":"chat.completion.chunk","created":1731000000,"model":"qwen3","system_fingerprint":"fp_ollama","choices":[{"index":0,"delta":{"role":"assistant","content":"\\n</think>\\n\\nYes"},"finish_reason":null}]}

data: {"id":"chatcmpl-620","object":"chat.completion.chunk","created":1731000000,"model":"qwen3","system_fingerprint":"fp_ollama","choices":[{"index":0,"delta":{"role":"assistant","content":"."},"finish_reason":"stop"}]}

data: {"id":"chatcmpl-620","object":"chat.completion.chunk","created":1731000000,"model":"qwen3","system_fingerprint":"fp_ollama","choices":[],"usage":{"prompt_tokens":26,"completion_tokens":9,"total_tokens":35}}

data: [DONE]

"""  # noqa: E501

OPENROUTER = """\
: OPENROUTER PROCESSING

: OPENROUTER PROCESSING

data: {"id":"gen-17","provider":"Together","model":"meta-llama/llama-3.3-70b-instruct","object":"chat.completion.chunk","created":1739000000,"choices":[{"index":0,"delta":{"role":"assistant","content":"Par"},"finish_reason":null,"native_finish_reason":null,"logprobs":null}]}

: OPENROUTER PROCESSING

data: {"id":"gen-17","provider":"Together","model":"meta-llama/llama-3.3-70b-instruct","object":"chat.completion.chunk","created":1739000000,"choices":[{"index":0,"delta":{"role":"assistant","content":"is"},"finish_reason":null,"native_finish_reason":null,"logprobs":null}]}

data: {"id":"gen-17","provider":"Together","model":"meta-llama/llama-3.3-70b-instruct","object":"chat.completion.chunk","created":1739000000,"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":"stop","native_finish_reason":"stop","logprobs":null}]}

data: {"id":"gen-17","provider":"Together","model":"meta-llama/llama-3.3-70b-instruct","object":"chat.completion.chunk","created":1739000000,"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null,"native_finish_reason":null,"logprobs":null}],"usage":{"prompt_tokens":14,"completion_tokens":2,"total_tokens":16}}

data: [DONE]

"""  # noqa: E501

AZURE = """\
data: {"choices":[],"created":0,"id":"","model":"","object":"","prompt_filter_results":[{"prompt_index":0,"content_filter_results":{"hate":{"filtered":false,"severity":"safe"},"jailbreak":{"filtered":false,"detected":false}}}]}

data: {"choices":[{"content_filter_results":{},"delta":{"content":"","refusal":null,"role":"assistant"},"finish_reason":null,"index":0,"logprobs":null}],"created":1736000000,"id":"chatcmpl-Az","model":"gpt-4o-2024-08-06","object":"chat.completion.chunk","system_fingerprint":"fp_5154047bf2"}

data: {"choices":[{"content_filter_results":{"hate":{"filtered":false,"severity":"safe"}},"delta":{"content":"Fine"},"finish_reason":null,"index":0,"logprobs":null}],"created":1736000000,"id":"chatcmpl-Az","model":"gpt-4o-2024-08-06","object":"chat.completion.chunk"}

data: {"choices":[{"content_filter_results":{},"delta":{},"finish_reason":"length","index":0,"logprobs":null}],"created":1736000000,"id":"chatcmpl-Az","model":"gpt-4o-2024-08-06","object":"chat.completion.chunk"}

data: {"choices":[],"created":1736000000,"id":"chatcmpl-Az","model":"gpt-4o-2024-08-06","object":"chat.completion.chunk","usage":{"completion_tokens":1,"prompt_tokens":9,"total_tokens":10}}

data: [DONE]

"""  # noqa: E501

TWO_ANSWERS = """\
data: {"object":"chat.completion.chunk","choices":[{"index":0,"delta":{"role":"assistant","content":"first"},"finish_reason":null}]}

data: {"object":"chat.completion.chunk","choices":[{"index":1,"delta":{"role":"assistant","content":"second"},"finish_reason":null}]}

data: {"object":"chat.completion.chunk","choices":[{"index":1,"delta":{},"finish_reason":"length"}]}

data: {"object":"chat.completion.chunk","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}

data: {"object":"chat.completion.chunk","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":8}}

data: [DONE]

"""  # noqa: E501

WIRES = (
    Wire("openai", OPENAI_TEXT.encode(), "Größe: 5 m 🌍", tokens=(19, 7)),
    Wire(
        "openai tools",
        OPENAI_TOOLS.encode(),
        "",
        (("search", '{"q": "tower"}'), ("search", '{"q":"bridge"}')),
        "tool_calls",
        (80, 31),
    ),
    Wire("vllm", VLLM_REASONING.encode(), "It is 42.", tokens=(12, 17)),
    Wire("ollama", OLLAMA.encode(), "Yes.", tokens=(26, 9)),
    Wire("openrouter", OPENROUTER.encode(), "Paris", tokens=(14, 2)),
    Wire("azure", AZURE.encode(), "Fine", finish="length", tokens=(9, 1)),
    Wire("carriage returns", OPENAI_TEXT.replace("\n", "\r\n").encode(), "Größe: 5 m 🌍", tokens=(19, 7)),
    Wire("byte order mark", b"\xef\xbb\xbf" + OLLAMA.encode(), "Yes.", tokens=(26, 9)),
    Wire("two answers", TWO_ANSWERS.encode(), "first", tokens=(3, 8)),
)
