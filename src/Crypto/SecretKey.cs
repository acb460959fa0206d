using System.Diagnostics;
using System.Security.Cryptography;

namespace Xfrmd.Crypto;

/// <summary>Key material: zeroed on dispose, hidden in text and in the debugger.</summary>
[DebuggerDisplay("{Length} bytes")]
public sealed class SecretKey : IDisposable
{
    // What the collector cannot move costs it some 100 ns and is looked at only with all the rest, so keys share blocks.
    private const int BlockSize = 2048, LargestShared = 256;

    [ThreadStatic]
    private static byte[]? _lastBlock;

    [ThreadStatic]
    private static int _lastUsed;

    // Pinned, so that the collector leaves no copy behind when it compacts.
    private readonly byte[] _block;
    private readonly int _offset;

    public SecretKey(ReadOnlySpan<byte> key)
    {
        Length = key.Length;
        if (key.Length > LargestShared)
        {
            _block = GC.AllocateUninitializedArray<byte>(key.Length, pinned: true);
        }
        else
        {
            if (_lastBlock is null || BlockSize - _lastUsed < key.Length)
            {
                (_lastBlock, _lastUsed) = (GC.AllocateUninitializedArray<byte>(BlockSize, pinned: true), 0);
            }
            (_block, _offset) = (_lastBlock, _lastUsed);
            _lastUsed += key.Length;
        }
        key.CopyTo(Writable);
    }

    public int Length { get; }

    public ReadOnlySpan<byte> Span => Writable;

    private Span<byte> Writable => _block.AsSpan(_offset, Length);

    public override string ToString() => "(hidden)";

    public void Dispose() => CryptographicOperations.ZeroMemory(Writable);
}
