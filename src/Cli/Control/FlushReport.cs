namespace Xfrmd.Cli.Control;

/// <summary>How many entries a flush removed.</summary>
internal sealed record FlushReport(int Sas, int Policies);
