using Xfrmd.Datapath.Steering;

namespace Xfrmd.Datapath.Engine;

/// <summary>How a namespace's packets are carried.</summary>
public sealed record DatapathOptions
{
    public SteeringOptions Steering { get; init; } = new();

    /// <summary>Pass by the kernel's routing and netfilter where that makes no difference; false: raw sockets always.</summary>
    public bool Direct { get; init; } = true;

    /// <summary>Bytes that each socket may hold before it drops.</summary>
    public int ReceiveBuffer { get; init; } = 16 << 20;

    /// <summary>Bytes that each socket may have on their way before sending waits.</summary>
    public int SendBuffer { get; init; } = 4 << 20;
}
