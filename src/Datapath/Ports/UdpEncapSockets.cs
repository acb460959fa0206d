using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Xfrmd.Datapath.Ports;

/// <summary>
/// The sockets that share ports with IKE daemons, one per bound address. Readers take a snapshot; changes come from the control side.
/// </summary>
public sealed class UdpEncapSockets
{
    private volatile Entry[] _entries = [];

    public ReadOnlySpan<Entry> Snapshot => _entries;

    public void Add(Entry entry) => _entries = [.. _entries, entry];

    public void Remove(Entry entry) => _entries = [.. _entries.Where(e => e != entry)];

    /// <summary>The socket for a source address and port as they lie in a packet; null where there is none.</summary>
    public Entry? Find(ReadOnlySpan<byte> address, ushort port)
    {
        foreach (Entry entry in _entries)
        {
            if (entry.Port == port && entry.Address.Length == address.Length && (entry.IsAny || address.SequenceEqual(entry.Address)))
            {
                return entry;
            }
        }
        return null;
    }

    /// <summary>One socket of ours.</summary>
    /// <param name="address">The address that it is bound to.</param>
    /// <param name="port">The port in host byte order.</param>
    /// <param name="socket">Ours.</param>
    /// <param name="ownerInode">The socket of the IKE daemon.</param>
    public sealed class Entry(byte[] address, ushort port, SafeFileHandle socket, ulong ownerInode)
    {
        public byte[] Address { get; } = address;
        public ushort Port { get; } = port;
        public SafeFileHandle Socket { get; } = socket;
        public ulong OwnerInode { get; } = ownerInode;
        public bool IsAny { get; } = !address.AsSpan().ContainsAnyExcept((byte)0);

        /// <summary>Whether what the socket sends carries DF now; the sending thread's.</summary>
        public int DontFragment { get; set; } = -1;
    }
}
