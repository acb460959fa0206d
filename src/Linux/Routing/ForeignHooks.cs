namespace Xfrmd.Linux.Routing;

/// <summary>Where in a packet's way others than xfrmd have netfilter rules.</summary>
[Flags]
public enum ForeignHooks
{
    None = 0,

    /// <summary>Prerouting or input of a protocol.</summary>
    Input = 1,

    /// <summary>Output or postrouting of a protocol.</summary>
    Output = 2,

    /// <summary>Ingress of a device.</summary>
    Ingress = 4,

    /// <summary>Egress of a device.</summary>
    Egress = 16,

    /// <summary>It could not be found out.</summary>
    Unknown = 8,
}
