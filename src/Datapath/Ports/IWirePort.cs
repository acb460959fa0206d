namespace Xfrmd.Datapath.Ports;

/// <summary>The side of the network, outwards: whole IP packets. Used by one thread.</summary>
public interface IWirePort
{
    /// <summary>Queues a packet, or sends all at once where the queue is full. Its bytes must stay until <see cref="Flush"/>.</summary>
    /// <param name="packet">From its IP header on.</param>
    /// <param name="inUdp">It is ESP in UDP: the socket that owns the source port may send it.</param>
    void Add(in PacketSlot packet, bool inUdp);

    /// <summary>Sends what is queued.</summary>
    void Flush();

    /// <summary>Counts up when the network said that a packet was too large: what is known of path MTUs is stale.</summary>
    int TooBigCount { get; }
}
