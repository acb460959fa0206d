namespace Xfrmd.Datapath.Ports;

/// <summary>The side of the network, inwards: protected packets from one socket. Used by one thread.</summary>
public interface IArrivalPort
{
    /// <summary>Receives a batch without waiting; how many messages it holds. The batch before is overwritten.</summary>
    int Receive();

    /// <summary>One message of the batch: its bytes, and how it came. False: it is nothing for us.</summary>
    /// <param name="index">From 0.</param>
    /// <param name="slot">As <paramref name="arrival"/> says; with several datagrams in it one behind the other.</param>
    /// <param name="arrival">How it came.</param>
    /// <param name="segmentSize">Size of each datagram in it but the last; 0: it is one.</param>
    bool TryGet(int index, out PacketSlot slot, out Arrival arrival, out int segmentSize);

    /// <summary>Its reader is about to wait until something comes.</summary>
    void PrepareWait()
    {
    }
}
