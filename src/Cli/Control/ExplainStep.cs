namespace Xfrmd.Cli.Control;

/// <summary>One step of the walk: its name in docs/architecture.md, and what it came to.</summary>
internal sealed record ExplainStep(string Step, string Result);
