using Xfrmd.Kernel;

namespace Xfrmd.Datapath.Steering;

/// <summary>
/// Sockets that have the same policies of their own (IP_XFRM_POLICY) and the same mark. Their packets carry the class in the bits of the mark that are xfrmd's (SO_MARK), also
/// those of connections that they accept, and what the out policy protects comes out of a device of the class's own.
/// </summary>
/// <param name="number">Of the device class; not 0.</param>
public sealed class SocketClass(int number)
{
    private volatile Policy? _inbound, _outbound;
    private volatile uint _mark;

    public int Number { get; } = number;

    /// <summary>Their mark (SO_MARK) without our bits: a TUN does not tell it.</summary>
    public uint Mark
    {
        get => _mark;
        internal set => _mark = value;
    }

    /// <summary>What goes before the SPD for packets to these sockets; null: nothing.</summary>
    public Policy? Inbound
    {
        get => _inbound;
        internal set => _inbound = value;
    }

    /// <summary>What goes before the SPD for packets of these sockets; null: nothing.</summary>
    public Policy? Outbound
    {
        get => _outbound;
        internal set => _outbound = value;
    }
}
