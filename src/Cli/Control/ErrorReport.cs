namespace Xfrmd.Cli.Control;

/// <summary>An answer that says why there is none.</summary>
internal sealed record ErrorReport(string Error);
