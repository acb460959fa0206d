using System.Runtime.InteropServices;

namespace Xfrmd.Datapath.Steering;

/// <summary>The values that a selector wants in the fields of its <see cref="SelectorShape"/>, as nf_tables lays them out.</summary>
public readonly struct SelectorKey(byte[] bytes) : IEquatable<SelectorKey>
{
    private readonly byte[] _bytes = bytes;

    public ReadOnlyMemory<byte> Bytes => _bytes;

    public bool Equals(SelectorKey other) => _bytes.AsSpan().SequenceEqual(other._bytes);

    public override bool Equals(object? obj) => obj is SelectorKey other && Equals(other);

    public override int GetHashCode()
    {
        // Fields of four bytes each, mixed by multiplication: who writes policies may as well write slow ones.
        ulong mixed = 0;
        foreach (uint field in MemoryMarshal.Cast<byte, uint>(_bytes))
        {
            mixed = (mixed ^ field) * 0x9E3779B97F4A7C15UL;
            mixed ^= mixed >> 32;
        }
        return (int)mixed;
    }

    public override string ToString() => Convert.ToHexStringLower(_bytes);

    public static bool operator ==(SelectorKey a, SelectorKey b) => a.Equals(b);
    public static bool operator !=(SelectorKey a, SelectorKey b) => !a.Equals(b);
}
