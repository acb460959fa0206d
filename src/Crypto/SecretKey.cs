using System.Diagnostics;
using System.Security.Cryptography;

namespace Xfrmd.Crypto;

/// <summary>Key material: zeroed on dispose, hidden in text and in the debugger.</summary>
[DebuggerDisplay("{Length} bytes")]
public sealed class SecretKey(ReadOnlySpan<byte> key) : IDisposable
{
    // Pinned, so that the collector leaves no copy behind when it compacts.
    private readonly byte[] _key = Pin(key);

    public int Length => _key.Length;
    public ReadOnlySpan<byte> Span => _key;
    public override string ToString() => "(hidden)";
    public void Dispose() => CryptographicOperations.ZeroMemory(_key);

    private static byte[] Pin(ReadOnlySpan<byte> key)
    {
        byte[] pinned = GC.AllocateUninitializedArray<byte>(key.Length, pinned: true);
        key.CopyTo(pinned);
        return pinned;
    }
}
