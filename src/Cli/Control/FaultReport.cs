namespace Xfrmd.Cli.Control;

/// <summary>One fault that is set.</summary>
/// <param name="Fault">As it was asked for.</param>
/// <param name="Seen">Messages that it is about, since then.</param>
/// <param name="Struck">Those that it struck.</param>
internal sealed record FaultReport(string Fault, long Seen, long Struck);
