namespace Xfrmd.Crypto.Compression;

/// <summary>One symbol of the code-length alphabet (RFC 1951 section 3.2.7), sent so many times, and the value of its extra bits.</summary>
internal readonly record struct CodeLengthRun(int Symbol, int Times, int Extra);
