namespace Xfrmd.Cli.Control;

internal sealed record PolicyCounts(int In, int Out, int Fwd);
