"""`python -m llm_intercept.cli`: how the supervisor starts its parts, whatever is on PATH."""

from llm_intercept.cli import main

if __name__ == "__main__":
    main(prog_name="llm-intercept")
