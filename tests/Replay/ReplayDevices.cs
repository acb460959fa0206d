using System.Globalization;
using System.Net;
using Xfrmd.Kernel;

namespace Xfrmd.Replay;

/// <summary>
/// What the <c>ip</c> commands of a scenario built, as far as a flow shows it: which device a destination leaves by, and the if_id of an
/// xfrm interface.
/// </summary>
internal sealed class ReplayDevices
{
    private readonly Dictionary<string, int> _indexes = new() { ["lo"] = 1 };
    private readonly Dictionary<string, uint> _ifIds = [];
    private readonly List<(XfrmAddress Network, int Prefix, string Device)> _routes = [];

    public void Run(string[] command)
    {
        switch (command)
        {
            case ["ip", "link", "add", var name, "type", "veth", "peer", "name", var peer]:
                Add(peer);
                Add(name);
                break;
            case ["ip", "link", "add", var name, "type", "xfrm", "dev", var under, "if_id", var id]:
                // What it sends is looked up as leaving by the device beneath (xfrmi_xmit2).
                _indexes[name] = _indexes[under];
                _ifIds[name] = uint.Parse(id, CultureInfo.InvariantCulture);
                break;
            case ["ip", "addr", "add", var address, "dev", var name, ..]:
                Route(address, name);
                break;
            case ["ip", "route", "add", var network, "dev", var name, ..]:
                Route(network, name);
                break;
            case ["ip", "link", "set", ..]:
                break;
            default:
                throw new NotSupportedException(string.Join(' ', command));
        }
    }

    /// <summary>The flow of a UDP datagram from this host. Linux knows the device of an IPv4 flow only, unless an IPv6 socket is bound to one.</summary>
    public Flow FlowOf(IPAddress source, ushort sourcePort, IPAddress destination, ushort destinationPort, uint mark)
    {
        ushort family = destination.AddressFamily == System.Net.Sockets.AddressFamily.InterNetwork ? Xfrmd.Kernel.AddressFamily.Inet : Xfrmd.Kernel.AddressFamily.Inet6;
        XfrmAddress daddr = XfrmAddress.From(destination);
        string device = _routes.Where(r => r.Network.MatchesPrefix(daddr, r.Prefix, family)).OrderByDescending(r => r.Prefix).First().Device;
        return new Flow
        {
            Saddr = XfrmAddress.From(source),
            Daddr = daddr,
            Family = family,
            Proto = IpProtocol.Udp,
            Sport = sourcePort,
            Dport = destinationPort,
            Mark = mark,
            Oif = family == Xfrmd.Kernel.AddressFamily.Inet ? _indexes[device] : 0,
            IfId = _ifIds.GetValueOrDefault(device),
        };
    }

    private void Add(string name) => _indexes[name] = _indexes.Count + 1;

    private void Route(string network, string device)
    {
        string[] parts = network.Split('/');
        _routes.Add((XfrmAddress.Parse(parts[0]), int.Parse(parts[1], CultureInfo.InvariantCulture), device));
    }
}
