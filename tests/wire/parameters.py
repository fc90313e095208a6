"""A value for every documented top-level parameter of every client dialect.

The official SDKs' types say which there are (`documented`); what they do not list any more, and what OpenAI's
followers and Ollama have, stands here beside it.
"""

from typing import Any, get_type_hints

from anthropic.types.beta import message_create_params as messages
from google.genai import types as google
from openai.types import completion_create_params as completions
from openai.types.chat import completion_create_params as chat
from openai.types.responses import response_create_params as responses

from tests.wire.codecs import amazon

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
FUNCTION = {"name": "weather", "parameters": SCHEMA}
HELLO = [{"role": "user", "content": "Hello"}]

BODIES: dict[str, dict[str, Any]] = {
    "anthropic": {"model": "m", "messages": HELLO},
    "bedrock_converse": {"messages": [{"role": "user", "content": [{"text": "Hello"}]}]},
    "gemini": {"contents": [{"role": "user", "parts": [{"text": "Hello"}]}]},
    "ollama": {"model": "m", "messages": HELLO, "stream": False},
    "openai_chat": {"model": "m", "messages": HELLO},
    "openai_completions": {"model": "m", "prompt": "Hello"},
    "openai_responses": {"model": "m", "input": "Hello"},
}
CHOICE = {"anthropic": {"type": "any"}, "openai_chat": "required", "openai_responses": "required"}
TOOLS: dict[str, Any] = {
    "anthropic": [{"name": "weather", "input_schema": SCHEMA}],
    "openai_chat": [{"type": "function", "function": FUNCTION}],
    "openai_responses": [{"type": "function", **FUNCTION}],
    "ollama": [{"type": "function", "function": FUNCTION}],
}
EVERYONE = {"model", "messages", "stream", "prompt", "input", "contents", "modelId"}
"""What every call has; and `prompt` of OpenAI responses, which is refused by name (tested elsewhere)."""

_OPENAI = {
    "frequency_penalty": 0.5,
    "logit_bias": {"50256": -100},
    "logprobs": True,
    "max_tokens": 50,
    "metadata": {"a": "b"},
    "n": 2,
    "parallel_tool_calls": False,
    "presence_penalty": 0.5,
    "prompt_cache_key": "key",
    "prompt_cache_options": {"mode": "explicit"},
    "prompt_cache_retention": "24h",
    "safety_identifier": "someone",
    "seed": 1,
    "service_tier": "turbo",
    "stop": ["END"],
    "store": True,
    "stream_options": {"include_obfuscation": False},
    "temperature": 0.5,
    "top_logprobs": 2,
    "top_p": 0.5,
    "user": "someone",
    "moderation": {"model": "omni"},
}
PARAMETERS: dict[str, dict[str, Any]] = {
    "anthropic": {
        "betas": ["context-1m-2025-08-07"],
        "anthropic_version": "bedrock-2023-05-31",
        "billing_policy": {"type": "strict"},
        "cache_control": {"type": "ephemeral"},
        "compaction": {"type": "auto"},
        "container": "container_1",
        "context_management": {"edits": [{"type": "clear_tool_uses_20250919"}]},
        "diagnostics": {"trace": True},
        "fallback_credit_token": "token",
        "fallbacks": [{"model": "other"}],
        "inference_geo": "us",
        "max_tokens": 50,
        "mcp_servers": [{"type": "url", "url": "https://example.com", "name": "s"}],
        "metadata": {"user_id": "someone"},
        "output_config": {"effort": "high"},
        "output_format": {"type": "json_schema", "schema": SCHEMA},
        "service_tier": "standard_only",
        "speed": "fast",
        "stop_sequences": ["END"],
        "system": "Be brief.",
        "temperature": 0.5,
        "thinking": {"type": "enabled", "budget_tokens": 2000},
        "thread": {"id": "thread_1"},
        "tool_choice": {"type": "any"},
        "tools": TOOLS["anthropic"],
        "top_k": 5,
        "top_p": 0.5,
        "user_profile_id": "profile_1",
        "workspace_id": "workspace_1",
    },
    "openai_chat": {
        **_OPENAI,
        "audio": {"voice": "alloy", "format": "wav"},
        "function_call": {"name": "weather"},
        "functions": [FUNCTION],
        "max_completion_tokens": 50,
        "modalities": ["text", "audio"],
        "prediction": {"type": "content", "content": "Hi"},
        "reasoning_effort": "high",
        "response_format": {"type": "json_object"},
        "tool_choice": "required",
        "tools": TOOLS["openai_chat"],
        "verbosity": "low",
        "web_search_options": {"search_context_size": "low"},
        # of followers
        "top_k": 5,
        "min_p": 0.1,
        "repetition_penalty": 1.1,
        "reasoning": {"effort": "high"},
        "thinking": {"type": "enabled"},
        "provider": {"order": ["a"]},
        "transforms": ["middle-out"],
    },
    "openai_completions": {
        **{
            name: _OPENAI[name]
            for name in (
                *("frequency_penalty", "logit_bias", "max_tokens", "n", "presence_penalty", "seed", "stop"),
                *("stream_options", "temperature", "top_p", "user"),
            )
        },
        "best_of": 3,
        "echo": True,
        "logprobs": 2,
        "suffix": "The end.",
    },
    "openai_responses": {
        **{
            name: _OPENAI[name]
            for name in (
                *(
                    "metadata",
                    "moderation",
                    "parallel_tool_calls",
                    "prompt_cache_key",
                    "prompt_cache_options",
                ),
                *("prompt_cache_retention", "safety_identifier", "service_tier", "store", "stream_options"),
                *("temperature", "top_logprobs", "top_p", "user"),
            )
        },
        "access_programs": ["a"],
        "background": True,
        "context_management": [{"type": "compaction"}],
        "conversation": "conv_1",
        "image": {"quality": "low"},
        "include": ["reasoning.encrypted_content"],
        "instructions": "Be brief.",
        "max_output_tokens": 50,
        "max_tool_calls": 3,
        "previous_response_id": "resp_1",
        "reasoning": {"effort": "high"},
        "text": {"format": {"type": "json_object"}},
        "tool_choice": "required",
        "tools": TOOLS["openai_responses"],
        "truncation": "auto",
        "client_metadata": {"a": "b"},
    },
    "gemini": {
        "cachedContent": "cachedContents/1",
        "labels": {"a": "b"},
        "safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}],
        "serviceTier": "turbo",
        "store": True,
        "systemInstruction": {"parts": [{"text": "Be brief."}]},
        "toolConfig": {"functionCallingConfig": {"mode": "ANY"}},
        "tools": [{"functionDeclarations": [{"name": "weather"}]}],
        "modelArmorConfig": {"promptTemplateName": "a"},
        "continuationToken": "token",
        "generationConfig.audioTimestamp": True,
        "generationConfig.audioTranscriptionConfig": {"languageCodes": ["en"]},
        "generationConfig.candidateCount": 2,
        "generationConfig.enableAffectiveDialog": True,
        "generationConfig.enableEnhancedCivicAnswers": True,
        "generationConfig.frequencyPenalty": 0.5,
        "generationConfig.imageConfig": {"aspectRatio": "1:1"},
        "generationConfig.logprobs": 2,
        "generationConfig.maxOutputTokens": 50,
        "generationConfig.mediaResolution": "MEDIA_RESOLUTION_LOW",
        "generationConfig.modelSelectionConfig": {"featureSelectionPreference": "BALANCED"},
        "generationConfig.presencePenalty": 0.5,
        "generationConfig.responseFormat": {"text": {"mimeType": "APPLICATION_JSON"}},
        "generationConfig.responseJsonSchema": SCHEMA,
        "generationConfig.responseLogprobs": True,
        "generationConfig.responseMimeType": "application/json",
        "generationConfig.responseModalities": ["IMAGE"],
        "generationConfig.responseSchema": {"type": "OBJECT", "properties": {"city": {"type": "STRING"}}},
        "generationConfig.routingConfig": {"autoMode": {}},
        "generationConfig.seed": 1,
        "generationConfig.speechConfig": {"voiceConfig": {}},
        "generationConfig.stopSequences": ["END"],
        "generationConfig.temperature": 0.5,
        "generationConfig.thinkingConfig": {"thinkingBudget": 2000},
        "generationConfig.topK": 5,
        "generationConfig.topP": 0.5,
        "generationConfig.translationConfig": {"targetLanguageCode": "fr"},
    },
    "bedrock_converse": {
        "system": [{"text": "Be brief."}],
        "inferenceConfig": {"maxTokens": 50},
        "toolConfig": {"tools": [{"toolSpec": {"name": "weather", "inputSchema": {"json": SCHEMA}}}]},
        "guardrailConfig": {"guardrailIdentifier": "g", "guardrailVersion": "1"},
        "additionalModelRequestFields": {"top_k": 5},
        "promptVariables": {"a": {"text": "b"}},
        "additionalModelResponseFieldPaths": ["/stop_sequence"],
        "requestMetadata": {"a": "b"},
        "performanceConfig": {"latency": "optimized"},
        "serviceTier": {"type": "reserved"},
        "outputConfig": {
            "textFormat": {
                "type": "json_schema",
                "structure": {"jsonSchema": {"schema": '{"type":"object"}'}},
            }
        },
    },
    "ollama": {
        "tools": TOOLS["ollama"],
        "format": "json",
        "think": True,
        "keep_alive": "5m",
        "logprobs": True,
        "top_logprobs": 2,
        "options.num_predict": 50,
        "options.temperature": 0.5,
        "options.top_k": 5,
        "options.top_p": 0.5,
        "options.min_p": 0.1,
        "options.seed": 1,
        "options.stop": ["END"],
        "options.num_ctx": 4096,
        "options.repeat_penalty": 1.1,
        "options.presence_penalty": 0.5,
        "options.frequency_penalty": 0.5,
        "options.mirostat": 1,
    },
}
NEEDS: dict[tuple[str, str], dict[str, Any]] = {
    **{(d, "tool_choice"): {"tools": TOOLS[d]} for d in CHOICE},
    **{(d, "parallel_tool_calls"): {"tools": TOOLS[d]} for d in ("openai_chat", "openai_responses")},
    ("openai_chat", "function_call"): {"functions": [FUNCTION]},
    ("openai_chat", "top_logprobs"): {"logprobs": True},
    ("ollama", "top_logprobs"): {"logprobs": True},
    ("openai_responses", "top_logprobs"): {"include": ["message.output_text.logprobs"]},
    ("gemini", "toolConfig"): {
        "tools": [{"functionDeclarations": [{"name": "weather", "parameters": SCHEMA}]}]
    },
    ("gemini", "generationConfig.logprobs"): {"generationConfig": {"responseLogprobs": True}},
}
"""What has to be in the request for a parameter to mean something."""
WORDS: dict[str, tuple[str, ...]] = {
    "stop_sequences": ("stop",),
    "max_completion_tokens": ("max_tokens",),
    "max_output_tokens": ("max_tokens",),
    "num_predict": ("max_tokens",),
    "output_config": ("reasoning", "effort"),
    "output_format": ("response_format",),
    "thinking": ("reasoning",),
    "think": ("reasoning",),
    "reasoning_effort": ("reasoning",),
    "text": ("format",),
    "format": ("response_format",),
    "functions": ("tools",),
    "function_call": ("tool_choice", "tools"),
    "tool_choice": ("tools",),
    "parallel_tool_calls": ("parallel", "tools"),
    "system": ("messages",),
    "instructions": ("messages",),
    "safety_identifier": ("user",),
    "additionalModelRequestFields": ("top_k",),
    "toolConfig": ("tool_choice", "tools"),
    "inferenceConfig": ("max_tokens",),
    "outputConfig": ("format",),
    "serviceTier": ("service_tier",),
    "candidateCount": ("n:", "n ", "answer"),
    "maxOutputTokens": ("max_tokens",),
    "responseMimeType": ("format",),
    "responseSchema": ("format",),
    "responseJsonSchema": ("format",),
    "responseLogprobs": ("logprobs",),
    "stopSequences": ("stop",),
    "thinkingConfig": ("reasoning", "thinking"),
    "topK": ("top_k",),
    "topP": ("top_p",),
    "frequencyPenalty": ("frequency_penalty",),
    "presencePenalty": ("presence_penalty",),
    "systemInstruction": ("messages",),
    "metadata": ("user",),
    "top_logprobs": ("logprobs",),
}
"""By what else a warning may call a parameter."""

_TYPES: dict[str, Any] = {
    "anthropic": messages.MessageCreateParamsStreaming,
    "openai_chat": chat.CompletionCreateParamsStreaming,
    "openai_completions": completions.CompletionCreateParamsStreaming,
    "openai_responses": responses.ResponseCreateParamsStreaming,
}
# Of Google's SDK itself, not of its wire: what it does with an answer.
_OF_THE_SDK = {
    *("http_options", "should_return_http_response", "automatic_function_calling", "automatic_continuation"),
    "generation_output_config",
}


def documented(dialect: str) -> set[str]:
    """Names of parameters, as the official SDK's types have them."""
    if dialect in _TYPES:
        return set(get_type_hints(_TYPES[dialect])) - EVERYONE
    if dialect == "bedrock_converse":
        return set(amazon.operation("Converse").input_shape.members) - EVERYONE
    if dialect == "gemini":
        fields = {
            *google.GenerateContentConfig.model_fields,
            *google.GenerationConfig.model_fields,
        } - _OF_THE_SDK
        return {_camel(name) for name in fields}
    return set()


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(word.capitalize() for word in rest)


def with_parameter(dialect: str, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """(the request without it, the request with it)."""
    base = {**BODIES[dialect], **NEEDS.get((dialect, name), {})}
    outer, _, inner = name.partition(".")
    value = PARAMETERS[dialect][name]
    return base, {**base, outer: {**base.get(outer, {}), inner: value} if inner else value}
