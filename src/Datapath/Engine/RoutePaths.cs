using Xfrmd.Kernel;
using Xfrmd.Linux.Packets;

namespace Xfrmd.Datapath.Engine;

/// <summary>Paths as the kernel's routing knows them.</summary>
/// <param name="query">Asks in the namespace.</param>
/// <param name="ours">The mark of protected packets that have none of their own.</param>
/// <param name="echoes">What routing knows only because this host's senders were told it; shared by all that ask.</param>
/// <param name="learned">What routers have told us; shared by all that ask.</param>
/// <param name="local">The addresses of this host.</param>
public sealed class RoutePaths(RouteQuery query, uint ours, MtuEchoes echoes, LearnedMtus learned, LocalAddresses local) : IPaths
{
    /// <summary>Where there is no route: sending will fail anyway.</summary>
    private const int DefaultMtu = 1500;

    public int MtuTowards(in XfrmAddress daddr, ushort family, uint mark = 0)
    {
        Span<byte> source = stackalloc byte[16];
        bool found = query.TryFind(daddr.Bytes[..Size(family)], Routed(mark), source, out int mtu) && mtu > 0;
        return learned.Limit(daddr, family, found ? echoes.Undo(daddr, family, mtu) : DefaultMtu);
    }

    public bool IsHere(in XfrmAddress address, ushort family) => local.IsLocal(address, family);

    public int OutputInterface(in XfrmAddress daddr, ushort family, uint mark) => query.OutputInterface(daddr.Bytes[..Size(family)], Routed(mark));

    public int Epoch => learned.Epoch;

    public void SenderTold(in XfrmAddress daddr, ushort family, int told, int path) => echoes.Remember(daddr, family, told, path);

    /// <summary><c>xfrm_get_saddr</c>.</summary>
    public XfrmAddress? SourceTowards(in XfrmAddress daddr, ushort family, uint flowMark)
    {
        Span<byte> source = stackalloc byte[16];
        source = source[..Size(family)];
        return query.TryFind(daddr.Bytes[..source.Length], flowMark | ours, source, out _) ? new XfrmAddress(source) : null;
    }

    /// <summary>A protected packet with a mark of its own is routed by that alone.</summary>
    private uint Routed(uint mark) => mark != 0 ? mark : ours;

    private static int Size(ushort family) => family == AddressFamily.Inet ? 4 : 16;
}
