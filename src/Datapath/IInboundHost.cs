using Xfrmd.Kernel;

namespace Xfrmd.Datapath;

/// <summary>What the inbound path must know of the host: its addresses and its XFRM interfaces.</summary>
public interface IInboundHost
{
    /// <summary>The address is one of this host's: packets to it are for direction <c>in</c>, all others for <c>fwd</c>.</summary>
    bool IsLocal(in XfrmAddress daddr, ushort family);

    /// <summary>The same once more for an address that was not: who gives the host an address and is sent a packet to it at once gets it, as in Linux.</summary>
    bool HasBecomeLocal(in XfrmAddress daddr, ushort family) => false;

    /// <summary>A device of this if_id exists: packets of its SAs arrive there, and policies are looked up with the if_id (<c>xfrmi_decode_session</c>).</summary>
    bool HasInterface(uint ifId);

    /// <summary>A device of kind xfrm exists, and so what Linux's module for them adds: policy is asked before ESP that came out of a tunnel (<c>xfrmi_input</c>).</summary>
    bool ChecksEachTunnel { get; }

    /// <summary>A tunnel device of the host's takes plain IP in IP of these two families (ipip, sit, ip6_tunnel), before XFRM looks at it.</summary>
    bool HasTunnelDevice(ushort outerFamily, ushort innerFamily);

    /// <summary>The in policy of the socket that takes the packet (IP_XFRM_POLICY); null where none takes it, or one without. It may match the flow or not.</summary>
    Policy? SocketPolicy(in Flow flow);
}
