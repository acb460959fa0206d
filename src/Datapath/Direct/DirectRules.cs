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
    private const int Header4 = 20, LengthIn4 = 2, NextIn4 = 9, Header6 = 40, LengthIn6 = 4, NextIn6 = 6;
    private readonly NetfilterBatch _batch = new(table, ofDevices: true);
    private bool _exists;

    /// <summary>Version and header length, the length's high byte, neither fragment nor offset, the protocol; behind it the addresses count whole.</summary>
    private static ReadOnlySpan<byte> Mask4 => [0xFF, 0, 0xFF, 0, 0, 0, 0x3F, 0xFF, 0, 0xFF, 0, 0];

    /// <summary>Version, the payload's length's high byte, the next header.</summary>
    private static ReadOnlySpan<byte> Mask6 => [0xF0, 0, 0, 0, 0xFF, 0, 0xFF, 0];

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
                List<ReadOnlyMemory<byte>> keys = [.. those.Where(p => p.Family == family).SelectMany(Keys)];
                if (keys.Count == 0)
                {
                    continue;
                }
                bool v4 = family == AddressFamily.Inet;
                string name = device + (v4 ? "-4" : "-6");
                _batch.AddSet(name, set++, v4 ? Header4 : Header6, BytesType, size: keys.Count);
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

    /// <summary>
    /// What <see cref="Ports.RingArrivalPort"/> takes, and beside it what looks like that and nobody would take: damaged, too short for its
    /// header, or for another host. One load, one mask, one lookup, as each packet of a ring takes these steps.
    /// </summary>
    private void Match(string set, bool v4)
    {
        _batch.LoadNetwork(0, 0, v4 ? Header4 : Header6);
        _batch.Mask(0, v4 ? Mask4 : Mask6);
        _batch.Lookup(0, set);
    }

    /// <summary>The masked headers of a pair's packets: one for each high byte that the length of a packet that fits a frame may have.</summary>
    private static IEnumerable<ReadOnlyMemory<byte>> Keys(DirectPair pair)
    {
        bool v4 = pair.Family == AddressFamily.Inet;
        for (int high = 0; high < PacketRing.LengthLimit >> 8; high++)
        {
            byte[] key = new byte[v4 ? Header4 : Header6];
            (key[0], key[v4 ? LengthIn4 : LengthIn6], key[v4 ? NextIn4 : NextIn6]) = ((byte)(v4 ? 0x45 : 0x60), (byte)high, IpProtocol.Esp);
            byte[] addresses = [.. pair.Source.Bytes(), .. pair.Destination.Bytes()];
            addresses.CopyTo(key, key.Length - addresses.Length);
            yield return key;
        }
    }
}
