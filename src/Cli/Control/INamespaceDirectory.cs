namespace Xfrmd.Cli.Control;

/// <summary>The network namespaces that the daemon serves, for the commands of people.</summary>
internal interface INamespaceDirectory
{
    /// <summary>The namespace with this number. One that no program has used yet is opened through the process that asks.</summary>
    /// <param name="inode">The number in <c>net:[N]</c>.</param>
    /// <param name="processId">A process that lives in it.</param>
    /// <returns>Null where it cannot be had.</returns>
    INamespaceView? Find(ulong inode, int processId);
}
