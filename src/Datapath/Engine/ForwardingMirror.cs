using Xfrmd.Linux;

namespace Xfrmd.Datapath.Engine;

/// <summary>
/// Whether IPv4 packets that come out of protection may be passed on. In Linux the device decides by which the protected packet came
/// (<c>IN_DEV_FORWARD</c> of <c>ip_route_input_slow</c>), here it would be the TUN: where every other device forwards, though
/// net.ipv4.ip_forward says no, the TUN does too. IPv6 knows one switch for all.
/// </summary>
/// <param name="routes">Of the namespace; for the calling thread alone.</param>
public sealed class ForwardingMirror(RouteClient routes)
{
    private const int Loopback = 1;
    private int _set;

    /// <summary>Looks anew.</summary>
    /// <param name="tun">The index of the TUN device; 0: there is none yet.</param>
    /// <param name="ours">All devices of ours.</param>
    public void Refresh(int tun, IReadOnlyCollection<int> ours)
    {
        Dictionary<int, bool> devices = routes.Forwarding();
        if (!devices.TryGetValue(tun, out bool forwards))
        {
            return;
        }
        bool[] others = [.. devices.Where(d => d.Key != Loopback && !ours.Contains(d.Key)).Select(d => d.Value)];
        bool all = others.Length > 0 && others.All(static other => other);
        if (all && !forwards)
        {
            _ = routes.SetForwarding(tun, forwards: true);
            _set = tun;
        }
        else if (!all && forwards && _set == tun)
        {
            _ = routes.SetForwarding(tun, forwards: false);
            _set = 0;
        }
    }
}
