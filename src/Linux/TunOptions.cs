namespace Xfrmd.Linux;

/// <summary>How a TUN device is made.</summary>
public sealed record TunOptions
{
    /// <summary>The name; <c>%d</c> stands for the first free number.</summary>
    public string Name { get; init; } = "ipsec%d";

    /// <summary>
    /// The first interface index to try; 0: the kernel chooses. One far from the kernel's own keeps the numbers of other interfaces as they
    /// would be without this device.
    /// </summary>
    public int FirstIndex { get; init; }

    public int Mtu { get; init; } = 1400;

    /// <summary>File descriptors on the one device. More than one needs IFF_MULTI_QUEUE, which is then set.</summary>
    public int Queues { get; init; } = 1;

    /// <summary>Packets that wait for the reader before more are lost.</summary>
    public int TransmitQueueLength { get; init; } = 4096;

    /// <summary>Largest set of offloads to ask for; the kernel's refusal leads to smaller ones.</summary>
    public TunOffloads Offloads { get; init; } = TunOffloads.All;
}
