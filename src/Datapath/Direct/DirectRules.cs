using Xfrmd.Kernel;
using Xfrmd.Linux;
using Xfrmd.Linux.Packets;

namespace Xfrmd.Datapath.Direct;

/// <summary>
/// The netfilter rules that keep from the raw sockets what a ring takes, in a table that goes when the daemon does. Read beside
/// <c>nft list table netdev xfrmd-direct</c>. Used by one thread.
/// </summary>
/// <param name="client">In the network namespace; owned.</param>
/// <param name="table">The table's name.</param>
internal sealed class DirectRules(NetfilterClient client, string table) : IDisposable
{
    private const int BehindAll = int.MaxValue;
    private const uint BytesType = 0;   // of nft's data types: what it does not know, shown as a number
    private const int FragmentIn4 = 6, NextIn4 = 9, AddressesIn4 = 12, AddressesIn6 = 8;
    private const int Ipv4Header = 20, Ipv6Header = 40, Ipv4PartAt = 4, Ipv4Part = Ipv4Header - Ipv4PartAt;
    private readonly NetfilterBatch _batch = new(table, ofDevices: true);
    private bool _exists;

    /// <summary>From now on exactly these packets are dropped behind the rings. 0, or the kernel's error: then nothing has changed.</summary>
    /// <param name="pairs">By device name.</param>
    public int Write(IReadOnlyCollection<(string Device, IReadOnlyCollection<DirectPair> Pairs)> pairs)
    {
        if (pairs.Count == 0 && !_exists)
        {
            return 0;
        }
        _batch.AddOwnedTable();
        _batch.DeleteTable();
        if (pairs.Count > 0)
        {
            _batch.AddOwnedTable();
        }
        uint set = 1;
        foreach ((string device, IReadOnlyCollection<DirectPair> those) in pairs)
        {
            _batch.AddIngressChain(device, device, BehindAll);
            foreach (ushort family in (ReadOnlySpan<ushort>)[AddressFamily.Inet, AddressFamily.Inet6])
            {
                List<ReadOnlyMemory<byte>> keys = [.. those.Where(p => p.Family == family).Select(Key)];
                if (keys.Count == 0)
                {
                    continue;
                }
                bool v4 = family == AddressFamily.Inet;
                string name = device + (v4 ? "-4" : "-6");
                _batch.AddSet(name, set++, v4 ? Ipv4Part : 32, BytesType);
                _batch.AddElements(name, keys);
                _batch.BeginRule(device, NetfilterRulePlace.Last);
                Match(name, v4);
                _batch.Drop();
                _batch.EndRule();
            }
        }
        int errno = client.Commit(_batch);
        _exists = errno == 0 ? pairs.Count > 0 : _exists;
        return errno;
    }

    public void Dispose() => client.Dispose();   // and the table with it

    /// <summary>Exactly what <see cref="Ports.RingArrivalPort"/> takes, and what is damaged beside it: in few steps, as each packet of a ring takes them.</summary>
    private void Match(string set, bool v4)
    {
        _batch.LoadMeta(0, NetfilterMeta.PacketType);
        _batch.Compare(0, [0]);   // PACKET_HOST
        _batch.LoadMeta(0, NetfilterMeta.Protocol);
        _batch.Compare(0, v4 ? [0x08, 0x00] : [0x86, 0xDD]);
        if (v4)
        {
            // Version and header length, and the total length; then neither fragment nor offset, ESP, and the addresses.
            _batch.LoadNetwork(0, 0, 4);
            _batch.Mask(0, [0xFF, 0, 0xFF, 0xFF]);
            _batch.CompareRange(0, [0x45, 0, .. Be16(Ipv4Header)], [0x45, 0, .. Be16(PacketRing.MaxPacket)]);
            _batch.LoadNetwork(0, Ipv4PartAt, Ipv4Part);
            Span<byte> mask = stackalloc byte[Ipv4Part];
            mask.Clear();
            (mask[FragmentIn4 - Ipv4PartAt], mask[FragmentIn4 + 1 - Ipv4PartAt], mask[NextIn4 - Ipv4PartAt]) = (0x3F, 0xFF, 0xFF);
            mask[(AddressesIn4 - Ipv4PartAt)..].Fill(0xFF);
            _batch.Mask(0, mask);
        }
        else
        {
            // Version and next header, the payload's length, the addresses.
            _batch.LoadNetwork(0, 0, 8);
            _batch.Mask(0, [0xF0, 0, 0, 0, 0, 0, 0xFF, 0]);
            _batch.Compare(0, [0x60, 0, 0, 0, 0, 0, IpProtocol.Esp, 0]);
            _batch.LoadNetwork(0, 4, 2);
            _batch.CompareRange(0, Be16(1), Be16(PacketRing.MaxPacket - Ipv6Header));
            _batch.LoadNetwork(0, AddressesIn6, 32);
        }
        _batch.Lookup(0, set);
    }

    private static byte[] Be16(int value) => [(byte)(value >> 8), (byte)value];

    private static ReadOnlyMemory<byte> Key(DirectPair pair)
    {
        byte[] addresses = [.. pair.Source.Bytes(), .. pair.Destination.Bytes()];
        if (pair.Family != AddressFamily.Inet)
        {
            return addresses;
        }
        byte[] part = new byte[Ipv4Part];
        part[NextIn4 - Ipv4PartAt] = IpProtocol.Esp;
        addresses.CopyTo(part, AddressesIn4 - Ipv4PartAt);
        return part;
    }
}
