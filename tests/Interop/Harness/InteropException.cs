namespace Xfrmd.Interop.Harness;

/// <summary>A scenario could not be set up or did not come out as told; the message says what to look at.</summary>
public sealed class InteropException(string message) : Exception(message);
