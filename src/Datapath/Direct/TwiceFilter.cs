using System.Buffers.Binary;

namespace Xfrmd.Datapath.Direct;

/// <summary>
/// While packets change over between a ring and a raw socket both see some of them: each is taken once. For the one thread that reads both;
/// at all other times it does nothing.
/// </summary>
public sealed class TwiceFilter
{
    private const int Ways = 4, SetBits = 15, MinLength = 16;
    private readonly ulong[] _seen = new ulong[Ways << SetBits];

    public bool IsActive { get; private set; }

    public void Begin() => IsActive = true;

    public void End()
    {
        if (IsActive)
        {
            IsActive = false;
            Array.Clear(_seen);
        }
    }

    /// <summary>Whether the other way has brought this ESP packet already. If not it is remembered, for the other way to be asked.</summary>
    /// <param name="esp">From the SPI on.</param>
    /// <param name="fromRing">Which way it came.</param>
    public bool HasSeen(ReadOnlySpan<byte> esp, bool fromRing)
    {
        if (esp.Length < MinLength)
        {
            return false;   // nothing that could be opened
        }
        // SPI and sequence number, and the end of the ICV.
        ulong mixed = (BinaryPrimitives.ReadUInt64LittleEndian(esp) * 0x9E3779B97F4A7C15) ^ BinaryPrimitives.ReadUInt64LittleEndian(esp[^8..]);
        ulong key = (mixed * 0xD6E8FEB86659FD93) | 2, mine = fromRing ? key | 1 : key & ~1UL;
        Span<ulong> set = _seen.AsSpan((int)(key >> (64 - SetBits)) * Ways, Ways);
        int other = set.IndexOf(mine ^ 1);
        if (other >= 0)
        {
            set[other] = 0;
            return true;
        }
        // The newest first: what gives way is the oldest, which the other way has most probably not had (all from before the change are such).
        int free = set.IndexOf(0UL);
        set[..(free >= 0 ? free : Ways - 1)].CopyTo(set[1..]);
        set[0] = mine;
        return false;
    }
}
