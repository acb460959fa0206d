namespace Xfrmd.Interop.Harness;

/// <summary>What ping counted.</summary>
public sealed record PingResult(int Sent, int Received, string Text);
