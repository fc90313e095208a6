"""Tools that take free text (OpenAI's custom tools), for dialects whose tools take arguments."""

from llm_intercept.wire.ir import Tool


def described(tool: Tool) -> str:
    """What the tool does, and the grammar of its input, which nothing but words can say there."""
    if tool.grammar is None:
        return tool.description
    syntax, definition = tool.grammar.get("syntax", ""), tool.grammar.get("definition", "")
    rule = f"The input follows this {syntax} grammar:\n{definition}"
    return f"{tool.description}\n\n{rule}" if tool.description else rule
