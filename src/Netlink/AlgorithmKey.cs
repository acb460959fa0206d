namespace Xfrmd.Netlink;

/// <summary>Lengths of keys that are given in bits.</summary>
internal static class AlgorithmKey
{
    /// <summary>As <c>xfrm_alg_len</c> counts them: in 32 bits, so that the largest numbers wrap to 0.</summary>
    public static int Bytes(uint bits) => (int)(unchecked(bits + 7) / 8);
}
