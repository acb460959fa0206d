using Xfrmd.Kernel;

namespace Xfrmd.Datapath.Steering;

/// <summary>
/// Makes the kernel's own routing send what the out policies cover into a TUN, and lets no plaintext in that should have been protected.
/// As an observer of the policy database it has done so when the request that changed a policy is answered.
/// </summary>
public interface ISteering : IDatabaseObserver, IDisposable
{
    /// <summary>All devices: the first is that of ordinary policies.</summary>
    IReadOnlyList<SteeringDevice> Devices { get; }

    /// <summary>Called with each device that is made later (a new if_id, a policy with a mark or an interface), before traffic reaches it.</summary>
    Action<SteeringDevice>? DeviceAdded { get; set; }

    /// <summary>The device of an if_id, made where there is none yet.</summary>
    SteeringDevice DeviceFor(uint ifId);

    /// <summary>Called with each device that is taken away, before it vanishes: nothing may use it afterwards.</summary>
    Action<SteeringDevice>? DeviceRemoved { get; set; }

    /// <summary>The device of an if_id as an interface of the user's own: see <see cref="ISocketHooks.CreateLink"/>.</summary>
    Errno CreateLink(string name, uint ifId, out int ifindex);

    /// <summary>Takes the device of an if_id away, by index or by name. False: there is none.</summary>
    bool DeleteLink(int ifindex, string name);

    /// <summary>The local ports that are exempt, all of them: what is not named any more is covered again.</summary>
    void SetBypassPorts(IReadOnlyCollection<BypassPort> ports);

    /// <summary>A class for sockets with policies of their own, of which there are none yet; null where there is no number left.</summary>
    SocketClass? AddSocketClass();

    /// <summary>Gives the sockets of a class policies and a mark, in place of what it stood for.</summary>
    void SetSocketClass(SocketClass sockets, Policy? inbound, Policy? outbound, uint mark);

    /// <summary>Changes the MTU of the device of an if_id, whose user routes traffic into it.</summary>
    void SetMtu(uint ifId, int mtu);

    /// <summary>Links have come or gone, or begun or ceased to forward.</summary>
    void LinksChanged();

    /// <summary>Packets that were dropped on the way into or past the TUN, by the counter of /proc/net/xfrm_stat that Linux would count them in.</summary>
    IReadOnlyDictionary<XfrmCounter, long> ReadCounters();

    /// <summary>What happens to a flow in clear, and which rule says so: one line for people.</summary>
    string Explain(in Flow flow, PolicyDirection direction);
}
