using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Security.Cryptography;

namespace Xfrmd.Datapath;

/// <summary>The identification of outer IPv4 packets that may be fragmented, and of IPv6 fragments: counters by path, as <c>ip_idents</c>. Shared by all workers.</summary>
public sealed class IpIdentifiers
{
    private const int Slots = 2048;
    private readonly int[] _next = new int[Slots];
    private readonly uint _key;

    public IpIdentifiers()
    {
        RandomNumberGenerator.Fill(MemoryMarshal.AsBytes(_next.AsSpan()));
        Span<byte> key = stackalloc byte[sizeof(uint)];
        RandomNumberGenerator.Fill(key);
        _key = BinaryPrimitives.ReadUInt32LittleEndian(key);
    }

    /// <summary>Every path begins at the same number: for tests.</summary>
    internal IpIdentifiers(uint first) => Array.Fill(_next, (int)first - 1);

    /// <summary>The next number for a path; <paramref name="path"/> is any hash of addresses and protocol.</summary>
    public uint Next(uint path) => (uint)Interlocked.Increment(ref _next[((path ^ _key) * 0x9E3779B1u) >> 21]);
}
