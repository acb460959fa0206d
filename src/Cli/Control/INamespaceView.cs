using Xfrmd.Datapath.Capture;
using Xfrmd.Datapath.Steering;
using Xfrmd.Kernel;

namespace Xfrmd.Cli.Control;

/// <summary>One served namespace, as far as people may look into it.</summary>
internal interface INamespaceView
{
    XfrmNamespace Space { get; }

    /// <summary>The TUN devices that protected traffic passes; none until there is something to protect.</summary>
    IReadOnlyList<string> Devices { get; }

    /// <summary>How raw ESP leaves and comes, a line each: directly, or through raw sockets and why.</summary>
    IReadOnlyList<string> RawEspPaths { get; }

    /// <summary>Where packets can be looked at.</summary>
    CaptureHub Captures { get; }

    /// <summary>What steers packets; null until there is something to protect.</summary>
    ISteering? Steering { get; }

    /// <summary>Local UDP ports whose sockets pass by every policy: those of IKE daemons.</summary>
    IReadOnlyCollection<BypassPort> BypassPorts { get; }

    /// <summary>The MTU of the path to an outer destination; null where it is not known.</summary>
    int? PathMtu(in XfrmAddress daddr, ushort family);

    /// <summary>ESP in UDP from this address and port leaves through the socket of an IKE daemon.</summary>
    bool SharesUdpPort(in XfrmAddress saddr, ushort family, ushort port);
}
