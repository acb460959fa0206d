using System.Collections.Concurrent;

namespace Xfrmd.Kernel;

public sealed partial class Sad
{
    private readonly ConcurrentDictionary<XfrmAddress, Be32> _tunnel6Spis = new(1, 31);
    private readonly Dictionary<XfrmAddress, int> _tunnel6Users = [];
    private uint _lastTunnel6Spi;

    /// <summary>
    /// The SPI under which plain IPIP from an address is looked up: the address itself, or over IPv6 the number that it was given
    /// (<c>xfrm6_tunnel_spi_lookup</c>; 0: none). Lock-free.
    /// </summary>
    public Be32 TunnelSpi(in XfrmAddress saddr, ushort family) =>
        family == AddressFamily.Inet ? new Be32(saddr.Raw4) : _tunnel6Spis.GetValueOrDefault(saddr);

    // ipcomp_tunnel_attach, ipcomp6_tunnel_attach: packets that were too short to compress come with a plain IP header, so each IPComp
    // tunnel leans on an SA of the kernel's own between the same two hosts. It is in dumps, and no client may remove it.
    private void AttachTunnel(SecurityAssociation sa)
    {
        if (sa.Id.Proto != IpProtocol.Comp || sa.Mode != XfrmMode.Tunnel || sa.State == SaState.Acq)
        {
            return;
        }
        SecurityAssociation tunnel = FindTunnel(sa) ?? CreateTunnel(sa);
        tunnel.TunnelUsers++;
        sa.Tunnel = tunnel;
    }

    // xfrm_state_delete_tunnel
    private void ReleaseTunnel(SecurityAssociation sa)
    {
        if (sa.Tunnel is { } tunnel)
        {
            sa.Tunnel = null;
            if (--tunnel.TunnelUsers == 0)
            {
                Unlink(tunnel);
                if (tunnel.Family == AddressFamily.Inet6 && --_tunnel6Users[tunnel.Saddr] == 0)
                {
                    _tunnel6Users.Remove(tunnel.Saddr);
                    _tunnel6Spis.TryRemove(tunnel.Saddr, out _);
                }
            }
        }
    }

    private SecurityAssociation? FindTunnel(SecurityAssociation sa) =>
        Lookup(sa.Mark.V & sa.Mark.M, sa.Id.Daddr, TunnelSpi(sa.Saddr, sa.Family), sa.Family == AddressFamily.Inet ? IpProtocol.IpIp : IpProtocol.Ipv6, sa.Family);

    private SecurityAssociation CreateTunnel(SecurityAssociation sa)
    {
        SecurityAssociation tunnel = new()
        {
            Family = sa.Family,
            Saddr = sa.Saddr,
            Selector = sa.Selector,
            Mode = sa.Mode,
            Mark = sa.Mark,
            IfId = sa.IfId,
            State = SaState.Valid,
            AddTime = _space.WallSeconds,
            IsInternalTunnel = true,
        };
        if (sa.Family == AddressFamily.Inet)
        {
            // ipcomp6_tunnel_create takes no flags.
            (tunnel.Flags, tunnel.ExtraFlags) = (sa.Flags, sa.ExtraFlags);
        }
        tunnel.Id.Daddr = sa.Id.Daddr;
        (tunnel.Id.Proto, tunnel.Id.Spi) = sa.Family == AddressFamily.Inet
            ? (IpProtocol.IpIp, new Be32(sa.Saddr.Raw4))
            : (IpProtocol.Ipv6, TakeTunnel6Spi(sa.Saddr));
        Link(tunnel);
        return tunnel;
    }

    // xfrm6_tunnel_alloc_spi: one number for an address as long as a tunnel comes from it.
    private Be32 TakeTunnel6Spi(in XfrmAddress saddr)
    {
        _tunnel6Users[saddr] = _tunnel6Users.GetValueOrDefault(saddr) + 1;
        if (!_tunnel6Spis.TryGetValue(saddr, out Be32 spi))
        {
            spi = Be32.From(++_lastTunnel6Spi);
            _tunnel6Spis[saddr] = spi;
        }
        return spi;
    }
}
